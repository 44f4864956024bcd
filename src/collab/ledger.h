#pragma once
// The ledger: what every request asked, who answered it and what it cost; the day's budgets; the API keys;
// and the anchors of the audit log. One schema in SQLite or PostgreSQL.

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "collab/sql.h"

namespace bantam::collab {

/// Money as whole billionths of the prices' currency, so that sums are exact.
using Nano = int64_t;
/// Rounded up: a part of a billionth counts whole. Above 9.2e9 it stays at the largest value.
Nano to_nano(double money);
double from_nano(Nano nano);

/// One side of a request: the models that run here, or those that do not.
struct LedgerSide {
  int64_t calls = 0, prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  Nano cost = 0;
};

/// One request. Times in seconds; `time` is when it came, in microseconds since 1970 (UTC).
struct LedgerRow {
  std::string row;  // 128 random bits in hexadecimal: the row's identity, so that writing it twice is once
  std::string id;   // the request's, which a client may have chosen
  int64_t time = 0;
  std::string key, team, strategy, answered_by;
  std::string outcome;  // "answered", "unverified", "refused", "cancelled", "failed: CODE"
  std::optional<double> confidence;
  LedgerSide local, remote;
  bool estimated = false;  // a side gave no usage figures; its worst case is charged
  int64_t redactions = 0;
  std::optional<double> first_text;  // until the first text was passed on
  double seconds = 0;
  std::string steps;                  // JSON: model, outcome, seconds, tokens and cost of each step
  int64_t drafted = 0, accepted = 0;  // tokens of speculative decoding
  std::string certificate;            // of the team at that time: "holds", "broken"; empty: it has none
};

/// What is counted against budgets.
struct Amount {
  int64_t requests = 0, remote_calls = 0;
  Nano money = 0;
};

/// A budget of one UTC day. `scope` is "all", "key:NAME" or "team:NAME".
struct Limit {
  std::string scope;
  std::optional<int64_t> requests, remote_calls;
  std::optional<Nano> money;
};

/// Takes `worst` from every limit's day, or from none if one of them has not so much left. Settled later with
/// what it came to; one that never is (the process died) stays charged in full.
struct Reservation {
  std::string id;   // random, as LedgerRow::row
  std::string day;  // "2026-11-22"
  Amount worst;
  std::vector<Limit> limits;
  bool final = false;  // `worst` is the amount itself: nothing to settle
};

struct Refusal {
  std::string scope, what;  // "key:ci", "money"
  int64_t limit = 0, charged = 0, wanted = 0;
  /// "budget: key:ci has 0.2 of 5 money left for 2026-11-22 (UTC), 0.31 is needed"
  std::string message(const std::string& day) const;
};

struct KeyRow {
  std::string name, id, hash;      // see keys.h
  std::vector<std::string> teams;  // names of models and teams it may ask; none: all
  Limit budget;                    // its scope is not stored
  int64_t created = 0;             // microseconds since 1970
};

/// The last line of an audit log that was acknowledged.
struct AuditHead {
  std::string log;  // the log's random name
  int64_t lines = 0;
  std::string hash;
};

struct SumQuery {
  std::vector<std::string> by;  // of "day", "key", "team", "strategy", "answered_by", "outcome",
                                // "certificate"
  std::string since, until;     // days, inclusive; empty: no bound
};
struct SumRow {
  std::vector<std::string> group;  // as SumQuery::by
  int64_t requests = 0, unverified = 0, failed = 0, estimated = 0, drafted = 0, accepted = 0;
  LedgerSide local, remote;
  double seconds = 0;
};

/// For one thread at a time. Errors are Sql's, and kInvalidArgument for an unknown column.
class Ledger {
 public:
  /// Makes the tables where they are absent. kUnsupported for tables of a later version.
  static Result<Ledger> open(const std::string& url, Sync sync = Sync::kDisk);
  /// The same for readers: kNotFound where there is no such file, which is not made.
  static Result<Ledger> open_existing(const std::string& url);

  /// The transaction is the caller's, around add, reserve, settle and set_head. With `alone` no other
  /// process' reservations come between.
  Sql& sql() { return *sql_; }
  Status add(const LedgerRow& row);
  /// Needs begin(alone = true).
  Result<std::optional<Refusal>> reserve(const Reservation& reservation);
  Status settle(const std::string& reservation, const Amount& actual);
  Status set_head(const AuditHead& head);
  Result<std::optional<AuditHead>> head(const std::string& log);

  /// The name of the audit log at a place (machine and path), where one was begun.
  Result<std::optional<std::string>> log_at(const std::string& place);
  Status set_log_at(const std::string& place, const std::string& log);

  Result<std::vector<SumRow>> sums(const SumQuery& query);
  /// Of all rows, in the order in which the requests came.
  Result<std::vector<std::string>> request_ids();
  /// What is charged to a scope on a day.
  Result<Amount> charged(const std::string& scope, const std::string& day);

  Status add_key(const KeyRow& key);  // kInvalidArgument for a name that is taken
  /// False when there was none.
  Result<bool> remove_key(const std::string& name);
  Result<std::vector<KeyRow>> keys();

 private:
  explicit Ledger(std::unique_ptr<Sql> sql) : sql_(std::move(sql)) {}
  Status make_tables();
  Status open_counter(const std::string& scope, const std::string& day);
  std::unique_ptr<Sql> sql_;
  std::set<std::string> texts_;  // of statements made here, which Sql knows by their address
};

/// "2026-11-22" of microseconds since 1970.
std::string utc_day(int64_t microseconds);
int64_t now_microseconds();
/// 128 bits from the system's source, as 32 hexadecimal digits. Errors: kIo.
Result<std::string> random_id();

}  // namespace bantam::collab
