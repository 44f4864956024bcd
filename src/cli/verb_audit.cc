#include <charconv>
#include <memory>

#include "cli/verbs.h"
#include "collab/audit.h"

namespace bantam::cli {
namespace {

struct AuditVerbOptions {
  std::string action, file, ledger, head;
};

/// "120:ab12…" as the server's log shows it.
Result<collab::AuditHead> parse_head(const std::string& text) {
  collab::AuditHead head;
  size_t colon = text.find(':');
  auto [end, error] = std::from_chars(text.data(), text.data() + std::min(colon, text.size()), head.lines);
  if (colon == std::string::npos || error != std::errc() || end != text.data() + colon || head.lines < 1 ||
      text.size() - colon - 1 != 64)
    return fail(Code::kInvalidArgument, "--head: found '{}', expected NUMBER:HASH", text);
  head.hash = text.substr(colon + 1);
  return head;
}

/// The anchor to hold the file against: given by hand, from the ledger, or none.
Result<std::optional<collab::AuditHead>> anchor(const AuditVerbOptions& options) {
  BANTAM_ASSIGN(std::string name, collab::audit_log_name(options.file));
  if (!options.head.empty()) {
    BANTAM_ASSIGN(collab::AuditHead head, parse_head(options.head));
    head.log = name;
    return head;
  }
  if (options.ledger.empty()) return std::nullopt;
  BANTAM_ASSIGN(collab::Ledger ledger, collab::Ledger::open_existing(options.ledger));
  if (name.empty()) {
    BANTAM_ASSIGN(auto known, ledger.log_at(collab::audit_place(options.file)));
    if (known) name = *known;
  }
  BANTAM_ASSIGN(auto head, ledger.head(name));
  if (!head)
    return fail(Code::kNotFound, "{}: the ledger has no audit log '{}', which {} begins with",
                collab::shown_url(options.ledger), name, options.file);
  return head;
}

Json as_json(const collab::AuditCheck& check, const std::optional<collab::AuditHead>& head) {
  Json findings = Json::array();
  for (const auto& finding : check.findings)
    findings.push_back({{"line", finding.line}, {"what", finding.what}});
  Json out = {{"log", check.log},
              {"lines", check.lines},
              {"hash", check.hash},
              {"intact", findings.empty()},
              {"unfinished_bytes", check.torn_bytes},
              {"findings", findings}};
  out["anchor"] = head ? Json{{"lines", head->lines}, {"hash", head->hash}} : Json();
  return out;
}

int print_check(const std::string& file, const collab::AuditCheck& check,
                const std::optional<collab::AuditHead>& head) {
  std::string out;
  for (const auto& finding : check.findings)
    out += fmt::format("{}: line {}: {}\n", file, finding.line, finding.what);
  if (check.findings.empty())
    out += fmt::format("{}: {} lines, intact\n", file, with_commas(static_cast<uint64_t>(check.lines)));
  if (check.torn_bytes > 0)
    out += fmt::format("{}: {} bytes of an unfinished line at the end, which was not acknowledged\n", file,
                       check.torn_bytes);
  if (head) {
    out += fmt::format("anchor: {}:{}\n", head->lines, head->hash);
  } else {
    out += "no anchor: lines missing at the end cannot be seen (--ledger or --head)\n";
  }
  return print_text(out);
}

int verify(const AuditVerbOptions& options, const Common& common) {
  auto head = anchor(options);
  if (!head) return report(head.error());
  auto check = collab::verify_audit(options.file, *head);
  if (!check) return report(check.error());
  int printed = common.json ? print_json(as_json(*check, *head)) : print_check(options.file, *check, *head);
  return check->findings.empty() ? printed : kFailed;
}

int show_head(const AuditVerbOptions& options, const Common& common) {
  if (options.ledger.empty()) return report_misuse("audit", "head needs --ledger");
  auto head = anchor(options);
  if (!head) return report(head.error());
  if (common.json)
    return print_json({{"log", (*head)->log}, {"lines", (*head)->lines}, {"hash", (*head)->hash}});
  return print_text(fmt::format("{}:{}\n", (*head)->lines, (*head)->hash));
}

}  // namespace

Action add_audit(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<AuditVerbOptions>();
  verb.add_option("ACTION", options->action, "verify: check the whole chain; head: print its anchor")
      ->required()
      ->check(CLI::IsMember({"verify", "head"}));
  verb.add_option("FILE", options->file, "The audit log (.jsonl)")->required();
  auto* ledger = verb.add_option("--ledger", options->ledger, "The ledger that keeps the log's anchor")
                     ->type_name("URL");
  verb.add_option("--head", options->head, "An anchor noted earlier, as NUMBER:HASH")->excludes(ledger);
  add_json(verb, common);
  verb.footer(
      "Examples:\n"
      "  bantam audit verify audit.jsonl --ledger ledger.db\n"
      "  bantam audit head audit.jsonl --ledger ledger.db     (to be kept elsewhere)\n"
      "Exit code 1 when anything was edited, deleted, moved or cut off; each finding names its line.");
  return [options, &common] {
    return options->action == "verify" ? verify(*options, common) : show_head(*options, common);
  };
}

}  // namespace bantam::cli
