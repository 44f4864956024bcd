#include "collab/audit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/hash.h"
#include "net/json.h"

namespace bantam::collab {
namespace {

constexpr size_t kLongestLine = 1 << 20;
constexpr size_t kMostFindings = 1000;
constexpr size_t kHashDigits = 64;
constexpr std::string_view kHashField = R"(,"hash":")";
const std::string kNoHash(kHashDigits, '0');

std::string line_of(int64_t seq, const std::string& prev, int64_t time, std::string_view event,
                    std::string& hash) {
  std::string line = fmt::format(R"({{"seq":{},"prev":"{}","time":{},"event":{})", seq, prev, time, event);
  hash = sha256_hex(line);
  line += fmt::format("{}{}\"}}\n", kHashField, hash);
  return line;
}

struct Line {
  int64_t seq = 0;
  std::string prev, hash;
  bool whole = false;  // its own hash is right
  std::string log;     // of the first
};

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The parts of a line; its form is exactly ours or it is an error.
Result<Line> read_line(std::string_view text) {
  Line out;
  constexpr std::string_view kEnd = "\"}";
  size_t tail = kHashField.size() + kHashDigits + kEnd.size();
  if (text.size() < tail || !text.ends_with(kEnd)) return fail(Code::kCorrupt, "it does not end in a hash");
  std::string_view body = text.substr(0, text.size() - tail);
  std::string_view field = text.substr(body.size(), kHashField.size());
  out.hash = text.substr(body.size() + kHashField.size(), kHashDigits);
  if (field != kHashField || !is_hash(out.hash)) return fail(Code::kCorrupt, "it does not end in a hash");
  out.whole = sha256_hex(body) == out.hash;
  BANTAM_ASSIGN(auto json, net::parse_json(text, "it"));
  auto seq = json.find("seq"), prev = json.find("prev"), event = json.find("event");
  if (seq == json.end() || !seq->is_number_unsigned() || prev == json.end() || !prev->is_string() ||
      event == json.end() || !event->is_object())
    return fail(Code::kCorrupt, "expected seq, prev and event");
  out.seq = static_cast<int64_t>(std::min<uint64_t>(seq->get<uint64_t>(), INT64_MAX - 1));
  out.prev = prev->get<std::string>();
  if (auto log = event->find("log"); log != event->end() && log->is_string()) out.log = *log;
  return out;
}

}  // namespace

void AuditVerifier::find(int64_t line, std::string what) {
  if (check_.findings.size() < kMostFindings) check_.findings.push_back({line, std::move(what)});
}

void AuditVerifier::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    // Of a line too long to be ours only the fact is kept.
    if (partial_.size() + piece.size() > kLongestLine) long_line_ = true;
    if (!long_line_) partial_ += piece;
    check_.torn_bytes += piece.size();
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    take_line(partial_);
    partial_.clear();
    long_line_ = false;
    check_.torn_bytes = 0;
  }
}

void AuditVerifier::take_line(std::string_view text) {
  int64_t number = ++check_.lines;
  auto line = long_line_ ? fail(Code::kLimit, "it is longer than {} bytes", kLongestLine) : read_line(text);
  if (!line) {
    find(number, "edited: " + line.error().message);
    ++expected_seq_;
    prev_known_ = false;
    return;
  }
  if (number == 1) {
    check_.log = line->log;
    expected_prev_ = kNoHash;
  }
  if (!line->whole) find(number, "edited: its content does not have the hash it carries");
  if (line->seq < expected_seq_) {
    find(number, fmt::format("found entry {}, expected entry {}: it was moved or repeated", line->seq,
                             expected_seq_));
    return;  // the next one in order is still the one that was expected
  }
  if (line->seq > expected_seq_) {
    std::string missing = line->seq == expected_seq_ + 1
                              ? fmt::format("entry {} was", expected_seq_)
                              : fmt::format("entries {} to {} were", expected_seq_, line->seq - 1);
    find(number, fmt::format("found entry {}, expected entry {}: {} deleted, or moved to another line",
                             line->seq, expected_seq_, missing));
  } else if (prev_known_ && line->prev != expected_prev_) {
    find(number == 1 ? 1 : number - 1,
         fmt::format("edited or exchanged: entry {} was written after one with another hash", line->seq));
  }
  if (head_ && line->seq == head_->lines && line->hash != head_->hash)
    find(number, "edited: its hash is not the one that was acknowledged");
  expected_prev_ = line->hash;
  expected_seq_ = line->seq + 1;
  prev_known_ = line->whole;  // one finding for one edit
  check_.hash = line->hash;
}

AuditCheck AuditVerifier::finish() {
  if (!head_) return check_;
  if (!check_.log.empty() && check_.log != head_->log)
    find(1, fmt::format("found the log '{}', expected '{}'", check_.log, head_->log));
  if (expected_seq_ <= head_->lines)
    find(check_.lines + 1, fmt::format("truncated: the last entry is {}, and {} were acknowledged",
                                       expected_seq_ - 1, head_->lines));
  return check_;
}

namespace {

/// Calls `take` with the file's bytes in pieces until it wants no more; returns how many there were.
template <class F>
Result<int64_t> read_through(int fd, const std::string& path, F&& take) {
  std::string buffer(1 << 16, '\0');
  for (int64_t size = 0;;) {
    ssize_t n = ::pread(fd, buffer.data(), buffer.size(), size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path, errno);
    size += n;
    if (n == 0 || !take(std::string_view(buffer.data(), static_cast<size_t>(n)))) return size;
  }
}

Result<std::string> log_name(int fd, const std::string& path) {
  std::string line;
  BANTAM_TRY(read_through(fd, path, [&](std::string_view bytes) {
    line += bytes;
    return line.find('\n') == std::string::npos && line.size() < kLongestLine;
  }));
  size_t end = line.find('\n');
  if (end == std::string::npos) return std::string();
  auto first = read_line(std::string_view(line).substr(0, end));
  return first ? first->log : std::string();
}

Result<AuditCheck> check_file(int fd, const std::string& path, std::optional<AuditHead> head, int64_t& size) {
  AuditVerifier verifier(std::move(head));
  BANTAM_ASSIGN(size, read_through(fd, path, [&](std::string_view bytes) {
                  verifier.feed(bytes);
                  return true;
                }));
  return verifier.finish();
}

}  // namespace

std::string audit_place(const std::string& path) {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  std::error_code error;
  return fmt::format("{}:{}", host, std::filesystem::absolute(path, error).lexically_normal().string());
}

Result<std::string> audit_log_name(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(path, errno);
  auto name = log_name(fd, path);
  ::close(fd);
  return name;
}

Result<AuditCheck> verify_audit(const std::string& path, std::optional<AuditHead> head) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(path, errno);
  int64_t size = 0;
  auto check = check_file(fd, path, std::move(head), size);
  ::close(fd);
  return check;
}

AuditLog::AuditLog(AuditLog&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      broken_(other.broken_),
      head_(std::move(other.head_)) {}

AuditLog::~AuditLog() {
  if (fd_ >= 0) ::close(fd_);
}

Result<AuditLog> AuditLog::open(const std::string& path, Ledger& ledger) {
  AuditLog out;
  out.path_ = path;
  out.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (out.fd_ < 0) return fail_errno(path, errno);
  if (::flock(out.fd_, LOCK_EX | LOCK_NB) != 0)
    return fail(Code::kUnavailable, "{}: another process appends to this audit log", path);
  std::string place = audit_place(path);
  BANTAM_ASSIGN(auto known, ledger.log_at(place));
  BANTAM_ASSIGN(std::string found, log_name(out.fd_, path));
  if (known && *known != found)
    return fail(
        Code::kCorrupt,
        "{}: found {}, expected the log '{}', which the ledger has of this file (begin a new one under "
        "another name)",
        path, found.empty() ? "no log" : "the log '" + found + "'", *known);
  std::optional<AuditHead> anchor;
  if (!found.empty()) {
    BANTAM_ASSIGN(anchor, ledger.head(found));
  }
  BANTAM_ASSIGN(AuditCheck check, check_file(out.fd_, path, anchor, out.size_));
  if (!check.findings.empty())
    return fail(Code::kCorrupt,
                "{}: line {}: {} (`bantam audit verify` shows all; begin a new log under "
                "another name)",
                path, check.findings[0].line, check.findings[0].what);
  if (check.torn_bytes > 0) {
    out.size_ -= static_cast<int64_t>(check.torn_bytes);
    if (::ftruncate(out.fd_, out.size_) != 0) return fail_errno(path, errno);
  }
  out.head_ = {check.log, check.lines, check.hash};
  if (check.lines == 0) {
    BANTAM_ASSIGN(out.head_.log, random_id());
    out.head_.hash = kNoHash;
    BANTAM_TRY(out.append({fmt::format(R"({{"type":"log","log":"{}"}})", out.head_.log)}, Sync::kDisk));
  }
  BANTAM_TRY(ledger.sql().begin(true));
  BANTAM_TRY(ledger.set_head(out.head_));
  BANTAM_TRY(ledger.set_log_at(place, out.head_.log));
  BANTAM_TRY(ledger.sql().commit());
  if (check.torn_bytes > 0)
    BANTAM_TRY(out.append({fmt::format(R"({{"type":"recovered","dropped_bytes":{}}})", check.torn_bytes)},
                          Sync::kDisk));
  return out;
}

Status AuditLog::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), size_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path_, errno);
    size_ += n;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status AuditLog::append(const std::vector<std::string>& events, Sync sync) {
  if (broken_) return fail(Code::kIo, "{}: an earlier write failed and could not be undone", path_);
  AuditHead next = head_;
  std::string lines;
  for (const std::string& event : events) {
    std::string hash;
    std::string line = line_of(next.lines + 1, next.hash, now_microseconds(), event, hash);
    if (line.size() > kLongestLine)
      return fail(Code::kLimit, "{}: an event of {} bytes, expected at most {}", path_, event.size(),
                  kLongestLine);
    lines += line;
    ++next.lines;
    next.hash = std::move(hash);
  }
  int64_t before = size_;
  Status written = write_all(lines);
  if (written && sync == Sync::kDisk && ::fdatasync(fd_) != 0) written = fail_errno(path_, errno);
  if (!written) {
    size_ = before;
    broken_ = ::ftruncate(fd_, before) != 0;
    return written;
  }
  head_ = std::move(next);
  return {};
}

}  // namespace bantam::collab
