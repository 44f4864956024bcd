#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "collab/recorder.h"
#include "server/config.h"

namespace bantam::server {

/// Who sent a request, by its key.
struct Caller {
  std::string name;                // of the key; empty where none is needed
  std::vector<std::string> teams;  // models and teams it may ask; none: all
  bool may_ask(std::string_view model) const;
};

/// The keys that clients may send: the one of server.api_key_env (whose caller is "default"), those of
/// [[keys]], and with ledger.keys those of the ledger, which come and go while the server runs. Only hashes
/// are held. Safe to use from many threads.
class Keyring {
 public:
  /// `recorder`: the ledger's; may be null without ledger.keys. Errors: kNotFound when a variable is not set.
  static Result<Keyring> open(const ServerConfig& config, std::shared_ptr<collab::Recorder> recorder);
  /// Whether requests need a key.
  bool needed() const { return needed_; }
  /// Whose key it is; nobody's: none. Hashes are compared in constant time, whichever key is tried.
  std::optional<Caller> find(std::string_view key) const;

 private:
  struct Entry {
    std::string hash;
    Caller caller;
  };
  bool needed_ = false;
  std::vector<Entry> entries_;
  std::shared_ptr<collab::Recorder> recorder_;  // where its keys count
};

}  // namespace bantam::server
