#pragma once
// One file over HTTP: resumed wherever an earlier attempt ended, checked, and there whole or not at all.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "net/awaitable.h"
#include "net/http_client.h"

namespace bantam::store {

/// What is known of a file before it is asked for.
struct FileSource {
  net::Url url;
  std::optional<uint64_t> bytes;
  std::string sha256;         // empty: what the server says, if it does
  std::string hash_from;      // who said so, for the report
  bool etag_is_hash = false;  // an ETag of 64 hexadecimal digits is the file's SHA-256, as registries have it
};

struct FetchOptions {
  std::string token;  // sent as a bearer token, to the origin (scheme, host, port) of token_for only
  net::Url token_for;
  uint64_t max_bytes = uint64_t{1} << 42;
  unsigned retries = 5;                               // one after the other without a byte of progress
  unsigned most_tries = 1'000;                        // of one file, with progress or without
  std::chrono::milliseconds longest_idle{3'600'000};  // pauses and attempts without progress, together
  std::chrono::milliseconds longest_pause{300'000};   // that a server may ask for (Retry-After)
  std::chrono::milliseconds first_pause{1'000};       // doubled with each attempt without progress
  std::stop_token cancel;
  ProgressSink progress;                         // kilobytes
  std::function<void(const std::string&)> note;  // what happened on the way, one sentence
};

struct FetchReport {
  uint64_t bytes = 0, resumed_at = 0;
  std::string sha256;
  std::string verified_by;  // whose hash the bytes have, as they were read here: "--sha256", "the registry",
                            // "the server"; empty: nothing to compare it with
  bool unchanged = false;   // it was there already
};

class Partial;

/// A file that is there whole and has the promised hash, but not its name yet. Locked as its pull was.
class FetchedFile {
 public:
  FetchReport report;

  FetchedFile();
  /// `partial` is null where the file was there already.
  FetchedFile(FetchReport fetched, std::string file, std::unique_ptr<Partial> partial, std::string source);
  FetchedFile(FetchedFile&&) noexcept;
  ~FetchedFile();
  const std::string& file() const { return file_; }
  /// Where its bytes are.
  std::string path() const;
  /// Gives it its name. Errors: kIo, kNoSpace.
  Status keep();
  /// Removes what was fetched; a file that has the name already stays.
  void discard();

 private:
  std::string file_, source_;
  std::unique_ptr<Partial> partial_;
};

/// Fetches `source`, to be `file`, whose folder must exist. Redirects are followed (at most ten, never from https
/// to http), 408, 429, 5xx and broken connections tried again. A prefix that is there is continued by Range
/// and If-Range; where the server's file is another one now, it begins anew. What is fetched must begin as a
/// GGUF file does. Errors: kDenied (401, 403, http), kNotFound, kCorrupt (a hash or size that is not as
/// promised, no GGUF), kLimit, kNoSpace, kIo, kBusy (fetched by another process; a pause beyond the longest),
/// kUnavailable, kCancelled. After all but kCorrupt what was fetched stays for the next call, as it does where
/// the result is neither kept nor discarded.
net::Awaitable<Result<FetchedFile>> fetch_file(net::HttpClient& client, const FileSource& source,
                                               const std::string& file, const FetchOptions& options);

/// A GET whose whole answer is wanted, with the same redirects, retries and token. Errors: as above; kLimit
/// above the client's max_body_bytes.
net::Awaitable<Result<std::string>> fetch_text(net::HttpClient& client, const net::Url& url,
                                               const FetchOptions& options);

}  // namespace bantam::store
