#include "server/policy.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "server/config_read.h"

namespace bantam::server {
namespace {

using collab::Egress;
using collab::Limit;
using formats::TomlTable;

constexpr uint64_t kLongestList = 64 << 20;

std::optional<Limit> read_limit(TomlTable table) {
  Limit out;
  constexpr uint64_t kMost = uint64_t{1} << 62;
  if (table.has("money")) out.money = collab::to_nano(table.number("money", 0, 0, 1e9));
  if (table.has("requests")) out.requests = static_cast<int64_t>(table.whole("requests", 0, 0, kMost));
  if (table.has("remote_calls"))
    out.remote_calls = static_cast<int64_t>(table.whole("remote_calls", 0, 0, kMost));
  if (!out.money && !out.requests && !out.remote_calls) return std::nullopt;
  return out;
}

Egress read_egress(TomlTable& table, std::string_view key) {
  std::string found = table.text(key, "allow");
  if (found == "deny") return Egress::kDeny;
  if (found == "redact") return Egress::kRedact;
  if (found != "allow")
    table.reject(key, fmt::format("found \"{}\", expected \"allow\", \"redact\" or \"deny\"", found));
  return Egress::kAllow;
}

/// The lines of a list; empty ones and those that begin with # are none.
std::vector<std::string> read_list(TomlTable& table, std::string_view key, const std::string& directory) {
  std::vector<std::string> out;
  if (!table.has(key)) return out;
  auto text = read_file(beside(directory, table.text(key, "")), kLongestList);
  if (!text) {
    table.reject(key, text.error().message);
    return out;
  }
  for (size_t begin = 0; begin < text->size();) {
    size_t end = std::min(text->find('\n', begin), text->size());
    std::string line = text->substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && line[0] != '#') out.push_back(std::move(line));
    begin = end + 1;
  }
  return out;
}

void read_ledger(TomlTable table, const std::string& directory, PolicyConfig& out) {
  out.ledger = table.text("url", "");
  if (std::string variable = table.text("url_env", ""); !variable.empty()) {
    const char* value = std::getenv(variable.c_str());
    if (!value || !*value) {
      table.reject("url_env", fmt::format("the environment variable {} is not set", variable));
    } else {
      out.ledger = value;
    }
  }
  if (out.ledger.find("://") == std::string::npos) out.ledger = beside(directory, out.ledger);
  out.audit = beside(directory, table.text("audit", ""));
  std::string sync = table.text("sync", "disk");
  if (sync != "disk" && sync != "process")
    table.reject("sync", fmt::format("found \"{}\", expected \"disk\" or \"process\"", sync));
  out.sync = sync == "process" ? collab::Sync::kProcess : collab::Sync::kDisk;
  out.ledger_keys = table.flag("keys", false);
}

KeyConfig read_key(TomlTable table) {
  KeyConfig out;
  out.name = table.text("name", "");
  if (out.name.empty()) table.reject("name", "found none, expected a name");
  out.sha256 = table.text("sha256", "");
  if (out.sha256.size() != 64 || out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    table.reject("sha256", "expected 64 hexadecimal digits in lower case");
  out.teams = table.texts("teams");
  out.budget = read_limit(table.table("budget"));
  return out;
}

}  // namespace

void read_policy(TomlTable& root, const std::string& directory, PolicyConfig& out) {
  read_ledger(root.table("ledger"), directory, out);
  TomlTable budget = root.table("budget");
  out.answer_tokens = static_cast<uint32_t>(budget.whole("answer_tokens", out.answer_tokens, 1, 1 << 24));
  out.budget = read_limit(budget);
  TomlTable egress = root.table("egress");
  out.egress = read_egress(egress, "policy");
  TomlTable redaction = root.table("redaction");
  out.redaction.types = redaction.texts("types");
  out.redaction.names = read_list(redaction, "names", directory);
  out.redaction.addresses = read_list(redaction, "addresses", directory);
  out.explain = redaction.flag("explain", true);
  for (TomlTable& pattern : redaction.tables("patterns"))
    out.redaction.patterns.push_back({pattern.text("name", ""), pattern.text("pattern", "")});
  for (TomlTable& key : root.tables("keys")) out.keys.push_back(read_key(key));
}

void read_member_policy(TomlTable& table, const std::string& name, PolicyConfig& out) {
  MemberConfig member;
  if (table.has("egress")) member.egress = read_egress(table, "egress");
  member.budget = read_limit(table.table("budget"));
  if (!member.egress && !member.budget) return;
  if (name.empty()) table.reject("name", "found none, expected one for a model with egress or a budget");
  out.members[name] = member;
}

Status check_policy(const PolicyConfig& config, const std::set<std::string>& names) {
  bool budgets = config.budget.has_value();
  for (const auto& [name, member] : config.members) budgets |= member.budget.has_value();
  for (const KeyConfig& key : config.keys) {
    budgets |= key.budget.has_value();
    for (const std::string& team : key.teams) {
      if (!names.contains(team) && !names.contains(""))
        return fail(Code::kInvalidArgument, "key '{}': teams: found '{}', which is no model or team",
                    key.name, team);
    }
  }
  if (!config.ledger.empty()) return {};
  if (budgets) return fail(Code::kInvalidArgument, "budget: needs a ledger to count in ([ledger] url)");
  if (config.ledger_keys) return fail(Code::kInvalidArgument, "ledger.keys: needs ledger.url");
  if (!config.audit.empty())
    return fail(Code::kInvalidArgument, "ledger.audit: needs ledger.url, which keeps the log's anchor");
  return {};
}

Result<Policy> Policy::open(const PolicyConfig& config) {
  Policy out;
  out.config_ = config;
  bool redacts = config.egress == Egress::kRedact;
  collab::AccountsOptions accounts;
  accounts.all = config.budget;
  accounts.answer_tokens = config.answer_tokens;
  for (const auto& [name, member] : config.members) {
    redacts |= member.egress == Egress::kRedact;
    if (member.budget) accounts.teams[name] = *member.budget;
  }
  for (const KeyConfig& key : config.keys) accounts.keys[key.name] = key.budget.value_or(Limit());
  if (redacts) {
    auto redactor = collab::Redactor::create(config.redaction);
    if (!redactor) return std::unexpected(std::move(redactor.error()).in("redaction"));
    out.redactor_ = std::move(*redactor);
    out.conversations_ = std::make_shared<collab::Conversations>();
  }
  if (!config.ledger.empty()) {
    collab::RecorderOptions options;
    options.url = config.ledger;
    options.audit_path = config.audit;
    options.sync = config.sync;
    BANTAM_ASSIGN(out.recorder_, collab::Recorder::open(std::move(options)));
    out.accounts_ = std::make_shared<collab::Accounts>(out.recorder_, std::move(accounts));
  }
  return out;
}

std::shared_ptr<chat::ChatModel> Policy::member(std::shared_ptr<chat::ChatModel> model,
                                                const chat::Prices& prices, const std::string& team) const {
  auto own = config_.members.find(team);
  collab::MemberPolicy policy;
  policy.team = team;
  policy.egress = own != config_.members.end() && own->second.egress ? *own->second.egress : config_.egress;
  policy.redactor = redactor_;
  policy.conversations = conversations_;
  policy.explain = config_.explain;
  policy.prices = prices;
  policy.accounts = accounts_;
  if (!accounts_ && (!model->remote() || policy.egress == Egress::kAllow)) return model;  // nothing to do
  return collab::make_member(std::move(model), std::move(policy));
}

std::shared_ptr<chat::ChatModel> Policy::accounted(std::shared_ptr<chat::ChatModel> model,
                                                   const std::string& strategy) const {
  if (!accounts_) return model;
  return collab::make_accounted(std::move(model), strategy, accounts_);
}

}  // namespace bantam::server
