#include <memory>

#include "cli/verbs.h"
#include "collab/keys.h"

namespace bantam::cli {
namespace {

using collab::KeyRow;
using collab::Ledger;

struct KeyVerbOptions {
  std::string action, name, ledger;
  std::vector<std::string> teams;
  std::optional<double> money;
  std::optional<int64_t> requests, remote_calls;
};

Json limit_json(const collab::Limit& limit) {
  Json out = Json::object();
  if (limit.money) out["money"] = collab::from_nano(*limit.money);
  if (limit.requests) out["requests"] = *limit.requests;
  if (limit.remote_calls) out["remote_calls"] = *limit.remote_calls;
  return out;
}

int create_key(const KeyVerbOptions& options, const Common& common, Ledger& ledger) {
  auto made = collab::make_key();
  if (!made) return report(made.error());
  KeyRow row{options.name, made->id, made->hash, options.teams, {}, collab::now_microseconds()};
  row.budget.requests = options.requests;
  row.budget.remote_calls = options.remote_calls;
  if (options.money) row.budget.money = collab::to_nano(*options.money);
  if (Status added = ledger.add_key(row); !added) return report(added.error());
  if (common.json) return print_json({{"name", options.name}, {"key", made->key}});
  if (!common.quiet) fmt::print(stderr, "shown once; only its hash is stored\n");
  return print_text(made->key + "\n");
}

int list_keys(const Common& common, Ledger& ledger) {
  auto keys = ledger.keys();
  if (!keys) return report(keys.error());
  Json out = Json::array();
  std::vector<std::vector<std::string>> rows = {{"name", "id", "since", "may ask", "a day"}};
  for (const KeyRow& key : *keys) {
    Json teams = key.teams, budget = limit_json(key.budget);
    std::string names, limits;
    for (const std::string& team : key.teams) names += (names.empty() ? "" : ", ") + team;
    for (const auto& [what, value] : budget.items())
      limits += fmt::format("{}{} {}", limits.empty() ? "" : ", ", value.dump(), what);
    std::string since = collab::utc_day(key.created);
    rows.push_back(
        {key.name, key.id, since, names.empty() ? "all" : names, limits.empty() ? "no limit" : limits});
    out.push_back(
        {{"name", key.name}, {"id", key.id}, {"since", since}, {"teams", teams}, {"budget", budget}});
  }
  return common.json ? print_json(out) : print_text(text_table(rows));
}

int remove_key(const KeyVerbOptions& options, Ledger& ledger) {
  auto removed = ledger.remove_key(options.name);
  if (!removed) return report(removed.error());
  if (!*removed) return report({Code::kNotFound, fmt::format("there is no key '{}'", options.name)});
  return kDone;
}

int run_key(const KeyVerbOptions& options, const Common& common) {
  if ((options.action == "ls") != options.name.empty())
    return report_misuse("key",
                         options.action == "ls" ? "ls takes no name" : options.action + " needs a name");
  auto ledger = Ledger::open(options.ledger);
  if (!ledger) return report(ledger.error());
  if (options.action == "add") return create_key(options, common, *ledger);
  if (options.action == "rm") return remove_key(options, *ledger);
  return list_keys(common, *ledger);
}

}  // namespace

Action add_key(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<KeyVerbOptions>();
  verb.add_option("ACTION", options->action, "add, ls or rm")
      ->required()
      ->check(CLI::IsMember({"add", "ls", "rm"}));
  verb.add_option("NAME", options->name, "The key's name, as in the ledger");
  verb.add_option("--ledger", options->ledger, "Where the server keeps its ledger")
      ->type_name("URL")
      ->required();
  verb.add_option("--team", options->teams, "A model or team it may ask; none: all")->type_name("NAME...");
  verb.add_option("--money", options->money, "Budget of a day (UTC), in the prices' currency")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--requests", options->requests, "Requests of a day")->check(CLI::NonNegativeNumber);
  verb.add_option("--remote-calls", options->remote_calls, "Calls of remote models of a day")
      ->check(CLI::NonNegativeNumber);
  add_json(verb, common);
  verb.footer(
      "Examples:\n"
      "  bantam key add ci --ledger ledger.db --team support --money 5\n"
      "  bantam key ls --ledger ledger.db\n"
      "  bantam key rm ci --ledger ledger.db\n"
      "A running server takes notice within seconds.");
  return [options, &common] { return run_key(*options, common); };
}

}  // namespace bantam::cli
