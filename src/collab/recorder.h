#pragma once
// The one writer of a server's ledger and audit log: collects what comes from all requests and commits it in
// groups, on a thread of its own.

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "collab/audit.h"
#include "collab/ledger.h"

namespace bantam::collab {

struct RecorderOptions {
  std::string url;         // of the ledger, see open_sql
  std::string audit_path;  // empty: no audit log
  Sync sync = Sync::kDisk;
  size_t max_waiting = 100'000;                 // records; one more is refused (kBusy)
  std::chrono::milliseconds keys_every{1'000};  // how soon keys added or removed elsewhere count
};

struct Settlement {
  std::string reservation;
  Amount actual;
};

/// What is to be written together. Where `reserve` is refused, nothing of the record is written.
struct Record {
  std::optional<Reservation> reserve;
  std::vector<Settlement> settle;
  std::optional<LedgerRow> row;
  std::vector<std::string> events;  // for the audit log: JSON objects as text
};

/// None: it is written, and the database and the audit log have it as safe as RecorderOptions::sync says.
using Outcome = Result<std::optional<Refusal>>;

/// Safe to use from many threads.
class Recorder {
 public:
  /// Errors: those of Ledger::open and AuditLog::open.
  static Result<std::shared_ptr<Recorder>> open(RecorderOptions options);
  virtual ~Recorder() = default;

  /// Done when the record is committed. Errors: kUnavailable when the database is not there (after one new
  /// connection), kBusy, kNoSpace, kIo: then its rows are not written, though its events may be.
  virtual boost::asio::awaitable<Outcome> commit(Record record) = 0;
  /// The same for a thread that may block.
  virtual Outcome commit_now(Record record) = 0;

  /// The keys as of the last look (RecorderOptions::keys_every).
  virtual std::shared_ptr<const std::vector<KeyRow>> keys() const = 0;
  /// Of the audit log; none where there is none.
  virtual std::optional<AuditHead> head() const = 0;
};

}  // namespace bantam::collab
