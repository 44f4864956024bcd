#pragma once
// Models into the store: by name from the configured registry, or by URL.

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/progress.h"
#include "net/http_client.h"
#include "store/fetch.h"
#include "store/store.h"

namespace bantam::store {

struct PullOptions {
  std::string registry;           // base URL; empty: only URLs can be pulled
  std::string revision = "main";  // a branch, tag or commit
  std::string as;                 // OWNER/NAME to keep a URL's file under; empty: by the URL
  std::string sha256;             // that the file must have; for a model of one file
  std::string token;              // goes to the registry's origin (scheme, host, port) and nowhere else
  bool offline = false;                    // every pull is an error
  uint64_t max_bytes = uint64_t{1} << 42;  // of all files together
  unsigned retries = 5;
  std::chrono::milliseconds longest_pause{300'000}, first_pause{1'000};
  net::ClientOptions http;
  std::stop_token cancel;
  ProgressSink progress;
  std::function<void(const std::string&)> note;
};

struct PulledFile {
  std::string path;
  FetchReport fetched;
};

struct PullReport {
  std::string name;  // that finds it in the store
  std::vector<PulledFile> files;
  std::vector<std::string> notes;
};

/// Fetches what `what` names ("owner/name:q4_k_m" or a URL), all shards of it. A URL of one shard means them
/// all. Runs its own event loop on the calling thread. Errors: those of fetch_file, parse_name, parse_listing
/// and select_files; kInvalidArgument for no registry or a hash that is none; kUnavailable while offline is
/// set; kCorrupt for files that are no model (no file gets its name then, and what was fetched is removed,
/// unless hashes say that they are as published).
Result<PullReport> pull(const std::string& what, const Store& store, const PullOptions& options);

}  // namespace bantam::store
