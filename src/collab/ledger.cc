#include "collab/ledger.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::collab {
namespace {

constexpr int64_t kSchema = 2;

// Times are microseconds since 1970, money billionths; see LedgerRow.
constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS bantam_schema (version BIGINT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS requests (row_id TEXT PRIMARY KEY, id TEXT NOT NULL, time BIGINT NOT NULL,"
    " day TEXT NOT NULL, key TEXT NOT NULL, team TEXT NOT NULL, strategy TEXT NOT NULL,"
    " answered_by TEXT NOT NULL, outcome TEXT NOT NULL, confidence DOUBLE PRECISION,"
    " local_calls BIGINT NOT NULL, local_prompt BIGINT NOT NULL, local_cached BIGINT NOT NULL,"
    " local_completion BIGINT NOT NULL, local_cost BIGINT NOT NULL,"
    " remote_calls BIGINT NOT NULL, remote_prompt BIGINT NOT NULL, remote_cached BIGINT NOT NULL,"
    " remote_completion BIGINT NOT NULL, remote_cost BIGINT NOT NULL,"
    " estimated BIGINT NOT NULL, redactions BIGINT NOT NULL, first_text DOUBLE PRECISION,"
    " seconds DOUBLE PRECISION NOT NULL, steps TEXT NOT NULL, drafted BIGINT NOT NULL DEFAULT 0,"
    " accepted BIGINT NOT NULL DEFAULT 0, certificate TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX IF NOT EXISTS requests_day ON requests (day)",
    "CREATE TABLE IF NOT EXISTS charges (scope TEXT NOT NULL, day TEXT NOT NULL, requests BIGINT NOT NULL,"
    " remote_calls BIGINT NOT NULL, money BIGINT NOT NULL, PRIMARY KEY (scope, day))",
    "CREATE TABLE IF NOT EXISTS reservations (id TEXT NOT NULL, scope TEXT NOT NULL, day TEXT NOT NULL,"
    " requests BIGINT NOT NULL, remote_calls BIGINT NOT NULL, money BIGINT NOT NULL,"
    " PRIMARY KEY (id, scope))",
    "CREATE TABLE IF NOT EXISTS api_keys (name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " hash TEXT NOT NULL, teams TEXT NOT NULL, requests BIGINT, remote_calls BIGINT, money BIGINT,"
    " created BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS audit_heads (log TEXT PRIMARY KEY, lines BIGINT NOT NULL,"
    " hash TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS audit_files (place TEXT PRIMARY KEY, log TEXT NOT NULL)",
};

/// From version 1 to 2.
constexpr const char* kSecond[] = {"ALTER TABLE requests ADD COLUMN drafted BIGINT NOT NULL DEFAULT 0",
                                   "ALTER TABLE requests ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0",
                                   "ALTER TABLE requests ADD COLUMN certificate TEXT NOT NULL DEFAULT ''"};

SqlValue optional_value(const std::optional<double>& value) { return value ? SqlValue(*value) : SqlValue(); }
SqlValue optional_value(const std::optional<int64_t>& value) { return value ? SqlValue(*value) : SqlValue(); }

std::optional<int64_t> optional_at(const SqlRow& row, size_t column) {
  if (!std::holds_alternative<int64_t>(row.at(column))) return std::nullopt;
  return std::get<int64_t>(row[column]);
}

LedgerSide side_at(const SqlRow& row, size_t column) {
  return {whole_at(row, column), whole_at(row, column + 1), whole_at(row, column + 2),
          whole_at(row, column + 3), whole_at(row, column + 4)};
}

}  // namespace

Result<Ledger> Ledger::open(const std::string& url, Sync sync) {
  BANTAM_ASSIGN(auto sql, open_sql(url, sync));
  Ledger out(std::move(sql));
  BANTAM_TRY(out.sql_->begin(true));
  Status made = out.make_tables();
  if (made) made = out.sql_->commit();
  if (!made) {
    out.sql_->rollback();
    return std::unexpected(std::move(made.error()).in(shown_url(url)));
  }
  return out;
}

Result<Ledger> Ledger::open_existing(const std::string& url) {
  std::error_code error;
  if (url.find("://") == std::string::npos && !std::filesystem::exists(url, error))
    return fail(Code::kNotFound, "{}: there is no such ledger", url);
  return open(url);
}

Status Ledger::make_tables() {
  for (const char* statement : kTables) BANTAM_TRY((*sql_)(statement));
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT COALESCE(MAX(version), 0) FROM bantam_schema"));
  const int64_t version = whole_at(rows.at(0), 0);  // 0: made just now
  if (version > kSchema)
    return fail(Code::kUnsupported, "found a ledger of version {}, expected at most {}", version, kSchema);
  if (version == 1) {
    for (const char* statement : kSecond) BANTAM_TRY((*sql_)(statement));
  }
  BANTAM_TRY((*sql_)("INSERT INTO bantam_schema VALUES ($1) ON CONFLICT DO NOTHING", kSchema));
  return {};
}

Status Ledger::add(const LedgerRow& r) {
  auto done = (*sql_)(
      "INSERT INTO requests VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
      " $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) ON CONFLICT (row_id) DO NOTHING",
      r.row, r.id, r.time, utc_day(r.time), r.key, r.team, r.strategy, r.answered_by, r.outcome,
      optional_value(r.confidence), r.local.calls, r.local.prompt_tokens, r.local.cached_tokens,
      r.local.completion_tokens, r.local.cost, r.remote.calls, r.remote.prompt_tokens, r.remote.cached_tokens,
      r.remote.completion_tokens, r.remote.cost, int64_t{r.estimated}, r.redactions,
      optional_value(r.first_text), r.seconds, r.steps, r.drafted, r.accepted, r.certificate);
  if (!done) return std::unexpected(std::move(done).error());
  return {};
}

/// A limit set in the middle of a day counts what the ledger has of it.
Status Ledger::open_counter(const std::string& scope, const std::string& day) {
  BANTAM_ASSIGN(auto there, (*sql_)("SELECT 1 FROM charges WHERE scope = $1 AND day = $2", scope, day));
  if (!there.empty()) return {};
  std::string key = scope.starts_with("key:") ? scope.substr(4) : "";
  std::string team = scope.starts_with("team:") ? scope.substr(5) : "";
  auto made = (*sql_)(
      "INSERT INTO charges SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), COUNT(*),"
      " CAST(COALESCE(SUM(remote_calls), 0) AS BIGINT),"
      " CAST(COALESCE(SUM(local_cost + remote_cost), 0) AS BIGINT) FROM requests"
      " WHERE day = $2 AND ($3 = '' OR key = $3) AND ($4 = '' OR team = $4) AND outcome <> 'refused'",
      scope, day, key, team);
  if (!made) return std::unexpected(std::move(made).error());
  return {};
}

Result<std::optional<Refusal>> Ledger::reserve(const Reservation& r) {
  if (!r.final) {  // a repetition after a lost connection takes nothing twice
    BANTAM_ASSIGN(auto there, (*sql_)("SELECT 1 FROM reservations WHERE id = $1", r.id));
    if (!there.empty()) return std::nullopt;
  }
  for (const Limit& limit : r.limits) {
    BANTAM_TRY(open_counter(limit.scope, r.day));
    BANTAM_ASSIGN(Amount now, charged(limit.scope, r.day));
    struct {
      const char* what;
      std::optional<int64_t> limit;
      int64_t charged, wanted;
    } checks[] = {{"requests", limit.requests, now.requests, r.worst.requests},
                  {"remote calls", limit.remote_calls, now.remote_calls, r.worst.remote_calls},
                  {"money", limit.money, now.money, r.worst.money}};
    for (const auto& check : checks) {
      // Not charged + wanted, which may be past the largest number.
      if (check.limit && check.wanted > 0 && check.wanted > *check.limit - check.charged)
        return Refusal{limit.scope, check.what, *check.limit, check.charged, check.wanted};
    }
  }
  for (const Limit& limit : r.limits) {
    BANTAM_TRY(
        (*sql_)("UPDATE charges SET requests = requests + $3, remote_calls = remote_calls + $4,"
                " money = money + $5 WHERE scope = $1 AND day = $2",
                limit.scope, r.day, r.worst.requests, r.worst.remote_calls, r.worst.money));
    if (r.final) continue;
    BANTAM_TRY((*sql_)("INSERT INTO reservations VALUES ($1, $2, $3, $4, $5, $6)", r.id, limit.scope, r.day,
                       r.worst.requests, r.worst.remote_calls, r.worst.money));
  }
  return std::nullopt;
}

Status Ledger::settle(const std::string& reservation, const Amount& actual) {
  BANTAM_ASSIGN(auto rows, (*sql_)("DELETE FROM reservations WHERE id = $1"
                                   " RETURNING scope, day, requests, remote_calls, money",
                                   reservation));
  for (const SqlRow& row : rows) {
    BANTAM_TRY(
        (*sql_)("UPDATE charges SET requests = requests + $3, remote_calls = remote_calls + $4,"
                " money = money + $5 WHERE scope = $1 AND day = $2",
                text_at(row, 0), text_at(row, 1), actual.requests - whole_at(row, 2),
                actual.remote_calls - whole_at(row, 3), actual.money - whole_at(row, 4)));
  }
  return {};
}

Result<Amount> Ledger::charged(const std::string& scope, const std::string& day) {
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT requests, remote_calls, money FROM charges"
                                   " WHERE scope = $1 AND day = $2",
                                   scope, day));
  if (rows.empty()) return Amount{};
  return Amount{whole_at(rows[0], 0), whole_at(rows[0], 1), whole_at(rows[0], 2)};
}

Status Ledger::set_head(const AuditHead& head) {
  auto done = (*sql_)(
      "INSERT INTO audit_heads VALUES ($1, $2, $3) ON CONFLICT (log) DO UPDATE"
      " SET lines = excluded.lines, hash = excluded.hash",
      head.log, head.lines, head.hash);
  if (!done) return std::unexpected(std::move(done).error());
  return {};
}

Result<std::optional<AuditHead>> Ledger::head(const std::string& log) {
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT lines, hash FROM audit_heads WHERE log = $1", log));
  if (rows.empty()) return std::nullopt;
  return AuditHead{log, whole_at(rows[0], 0), text_at(rows[0], 1)};
}

Result<std::optional<std::string>> Ledger::log_at(const std::string& place) {
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT log FROM audit_files WHERE place = $1", place));
  if (rows.empty()) return std::nullopt;
  return text_at(rows[0], 0);
}

Status Ledger::set_log_at(const std::string& place, const std::string& log) {
  auto done = (*sql_)("INSERT INTO audit_files VALUES ($1, $2) ON CONFLICT (place) DO NOTHING", place, log);
  if (!done) return std::unexpected(std::move(done).error());
  return {};
}

Result<std::vector<std::string>> Ledger::request_ids() {
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT id FROM requests ORDER BY time, row_id"));
  std::vector<std::string> out;
  for (const SqlRow& row : rows) out.push_back(text_at(row, 0));
  return out;
}

Result<std::vector<SumRow>> Ledger::sums(const SumQuery& query) {
  static const std::vector<std::string> kColumns{"day",         "key",     "team",       "strategy",
                                                 "answered_by", "outcome", "certificate"};
  std::string columns;
  for (const std::string& column : query.by) {
    if (std::find(kColumns.begin(), kColumns.end(), column) == kColumns.end())
      return fail(Code::kInvalidArgument, "by: found '{}', expected {}", column, fmt::join(kColumns, ", "));
    columns += column + ", ";
  }
  std::string text =
      "SELECT " + columns +
      "COUNT(*), CAST(SUM(CASE WHEN outcome = 'unverified' THEN 1 ELSE 0 END) AS BIGINT),"
      " CAST(SUM(CASE WHEN outcome IN ('answered', 'unverified') THEN 0 ELSE 1 END) AS BIGINT),"
      " CAST(SUM(estimated) AS BIGINT), CAST(SUM(drafted) AS BIGINT), CAST(SUM(accepted) AS BIGINT)";
  for (const char* side : {"local", "remote"}) {
    for (const char* figure : {"calls", "prompt", "cached", "completion", "cost"})
      text += fmt::format(", CAST(SUM({}_{}) AS BIGINT)", side, figure);
  }
  text += ", SUM(seconds) FROM requests WHERE ($1 = '' OR day >= $1) AND ($2 = '' OR day <= $2)";
  if (!columns.empty()) {
    columns.resize(columns.size() - 2);
    text += " GROUP BY " + columns + " ORDER BY " + columns;
  }
  auto& kept = *texts_.emplace(std::move(text)).first;
  BANTAM_ASSIGN(auto rows, (*sql_)(kept.c_str(), query.since, query.until));
  std::vector<SumRow> out;
  size_t n = query.by.size();
  for (const SqlRow& row : rows) {
    SumRow sum;
    for (size_t i = 0; i < n; ++i) sum.group.push_back(text_at(row, i));
    sum.requests = whole_at(row, n);
    sum.unverified = whole_at(row, n + 1);
    sum.failed = whole_at(row, n + 2);
    sum.estimated = whole_at(row, n + 3);
    sum.drafted = whole_at(row, n + 4);
    sum.accepted = whole_at(row, n + 5);
    sum.local = side_at(row, n + 6);
    sum.remote = side_at(row, n + 11);
    sum.seconds = number_at(row, n + 16);
    out.push_back(std::move(sum));
  }
  return out;
}

Status Ledger::add_key(const KeyRow& key) {
  nlohmann::json teams = key.teams;
  BANTAM_ASSIGN(
      auto made,
      (*sql_)("INSERT INTO api_keys VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
              " ON CONFLICT (name) DO NOTHING RETURNING name",
              key.name, key.id, key.hash, net::to_text(teams), optional_value(key.budget.requests),
              optional_value(key.budget.remote_calls), optional_value(key.budget.money), key.created));
  if (made.empty()) return fail(Code::kInvalidArgument, "name: there is a key '{}' already", key.name);
  return {};
}

Result<bool> Ledger::remove_key(const std::string& name) {
  BANTAM_ASSIGN(auto rows, (*sql_)("DELETE FROM api_keys WHERE name = $1 RETURNING name", name));
  return !rows.empty();
}

Result<std::vector<KeyRow>> Ledger::keys() {
  BANTAM_ASSIGN(auto rows, (*sql_)("SELECT name, id, hash, teams, requests, remote_calls, money, created"
                                   " FROM api_keys ORDER BY name"));
  std::vector<KeyRow> out;
  for (const SqlRow& row : rows) {
    KeyRow key{text_at(row, 0), text_at(row, 1), text_at(row, 2), {}, {}, whole_at(row, 7)};
    BANTAM_ASSIGN(auto teams, net::parse_json(text_at(row, 3), "api_keys.teams"));
    for (const auto& team : teams) {
      if (!team.is_string()) return fail(Code::kCorrupt, "api_keys.teams of '{}': expected texts", key.name);
      key.teams.push_back(team.get<std::string>());
    }
    key.budget = {"key:" + key.name, optional_at(row, 4), optional_at(row, 5), optional_at(row, 6)};
    out.push_back(std::move(key));
  }
  return out;
}

}  // namespace bantam::collab
