#pragma once
// The audit log: a file of one JSON object a line, each with the hash of the one before, so that a later
// change of the file is found.
//
// A line is {"seq":N,"prev":"HASH","time":MICROSECONDS,"event":{…},"hash":"HASH"}. `hash` is the SHA-256 of
// the line's bytes before `,"hash"`, and `prev` the `hash` of line N-1 (64 zeros in line 1, whose event names
// the log: {"type":"log","log":"RANDOM"}). That finds edits, deletions and swaps; that lines are missing at
// the end, or that the whole chain was made anew, only an anchor outside the file can tell. It is kept in the
// ledger's database (AuditHead) with the same commit that acknowledges the line, and can be noted elsewhere.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "collab/ledger.h"

namespace bantam::collab {

struct AuditFinding {
  int64_t line = 0;  // of the file, from 1
  std::string what;  // "edited: …", "2 entries deleted before it", …
};

/// What a chain looks like, as far as it goes.
struct AuditCheck {
  std::string log;          // its name
  int64_t lines = 0;        // whole ones in the file
  std::string hash;         // of the last line
  uint64_t torn_bytes = 0;  // after the last line feed: a write that a crash cut off, never acknowledged
  std::vector<AuditFinding> findings;  // at most 1,000; none: intact
};

/// Feed it the file in pieces of any size; for untrusted bytes. A line longer than 1 MiB is a finding.
class AuditVerifier {
 public:
  /// `head`: the anchor to hold the end against. Entries after it are fine: they were written and not yet
  /// acknowledged.
  explicit AuditVerifier(std::optional<AuditHead> head = {}) : head_(std::move(head)) {}
  void feed(std::string_view bytes);
  AuditCheck finish();

 private:
  void take_line(std::string_view line);
  void find(int64_t line, std::string what);

  std::optional<AuditHead> head_;
  AuditCheck check_;
  std::string partial_;
  std::string expected_prev_;  // the hash that the next entry in order should carry
  int64_t expected_seq_ = 1;
  bool prev_known_ = true, long_line_ = false;
};

/// Where a log lies, among all the machines that share a ledger (Ledger::log_at).
std::string audit_place(const std::string& path);
/// The name of the log in a file; empty where its first line has none. Errors: kNotFound, kIo.
Result<std::string> audit_log_name(const std::string& path);
/// Reads a file through a verifier. Errors: kNotFound, kIo.
Result<AuditCheck> verify_audit(const std::string& path, std::optional<AuditHead> head = {});

/// Appends to the file. For one thread at a time; the file is locked, so that no second process appends.
class AuditLog {
 public:
  /// Opens or begins a log and checks it whole. Bytes of a line that a crash cut off are removed, which the
  /// next line says. `ledger`: where its anchor is. Errors: kCorrupt with the first finding (an altered log
  /// is not continued), kUnavailable when another process has it open, kIo.
  static Result<AuditLog> open(const std::string& path, Ledger& ledger);
  AuditLog(AuditLog&& other) noexcept;
  AuditLog& operator=(AuditLog&&) = delete;
  ~AuditLog();

  /// Adds lines, one for each event (a JSON object's text), written at once; with kDisk they are on the disk
  /// when it returns. On an error none of them is there. Errors: kNoSpace, kIo; after one that could not be
  /// undone every further call fails.
  Status append(const std::vector<std::string>& events, Sync sync);
  const AuditHead& head() const { return head_; }

 private:
  AuditLog() = default;
  Status write_all(std::string_view bytes);
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool broken_ = false;
  AuditHead head_;
};

}  // namespace bantam::collab
