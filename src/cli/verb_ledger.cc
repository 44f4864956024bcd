#include <memory>

#include "cli/verbs.h"
#include "collab/ledger.h"

namespace bantam::cli {
namespace {

struct LedgerVerbOptions {
  std::string ledger;
  collab::SumQuery query{{"day", "key", "team"}, "", ""};
};

Json side_json(const collab::LedgerSide& side) {
  return {{"calls", side.calls},
          {"prompt_tokens", side.prompt_tokens},
          {"cached_tokens", side.cached_tokens},
          {"completion_tokens", side.completion_tokens},
          {"cost", collab::from_nano(side.cost)}};
}

Json as_json(const std::vector<collab::SumRow>& sums, const std::vector<std::string>& by) {
  Json out = Json::array();
  for (const auto& sum : sums) {
    Json row = Json::object();
    for (size_t i = 0; i < by.size(); ++i) row[by[i]] = sum.group[i];
    row["requests"] = sum.requests;
    row["unverified"] = sum.unverified;
    row["failed"] = sum.failed;
    row["estimated"] = sum.estimated;
    row["drafted_tokens"] = sum.drafted;
    row["accepted_tokens"] = sum.accepted;
    row["seconds"] = sum.seconds;
    row["local"] = side_json(sum.local);
    row["remote"] = side_json(sum.remote);
    out.push_back(std::move(row));
  }
  return out;
}

std::string as_text(const std::vector<collab::SumRow>& sums, const std::vector<std::string>& by) {
  std::vector<std::vector<std::string>> rows(1, by);
  for (const char* column :
       {"requests", "failed", "local calls", "tokens", "cost", "remote calls", "tokens", "cost"})
    rows[0].emplace_back(column);
  auto whole = [](int64_t n) { return with_commas(static_cast<uint64_t>(std::max<int64_t>(n, 0))); };
  for (const auto& sum : sums) {
    rows.push_back(sum.group);
    auto& row = rows.back();
    row.push_back(whole(sum.requests));
    row.push_back(whole(sum.failed));
    for (const auto* side : {&sum.local, &sum.remote}) {
      row.push_back(whole(side->calls));
      row.push_back(whole(side->prompt_tokens + side->completion_tokens));
      row.push_back(fmt::format("{:.6f}", collab::from_nano(side->cost)));
    }
  }
  return text_table(rows);
}

int run_ledger(const LedgerVerbOptions& options, const Common& common) {
  auto ledger = collab::Ledger::open_existing(options.ledger);
  if (!ledger) return report(ledger.error());
  auto sums = ledger->sums(options.query);
  if (!sums) {
    if (sums.error().code == Code::kInvalidArgument)
      return report_misuse("ledger", "--" + sums.error().message);
    return report(sums.error());
  }
  return common.json ? print_json(as_json(*sums, options.query.by))
                     : print_text(as_text(*sums, options.query.by));
}

}  // namespace

Action add_ledger(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<LedgerVerbOptions>();
  verb.add_option("LEDGER", options->ledger, "An SQLite file or a postgresql:// URL")
      ->required()
      ->type_name("URL");
  verb.add_option("--by", options->query.by,
                  "Columns to sum by: day, key, team, strategy, answered_by, outcome, certificate")
      ->delimiter(',')
      ->default_str("day,key,team");
  verb.add_option("--since", options->query.since, "First day (UTC), as 2026-11-22");
  verb.add_option("--until", options->query.until, "Last day");
  add_json(verb, common);
  verb.footer(
      "Examples:\n"
      "  bantam ledger ledger.db\n"
      "  bantam ledger ledger.db --by team,answered_by --since 2026-11-01 --json");
  return [options, &common] { return run_ledger(*options, common); };
}

}  // namespace bantam::cli
