#include "server/keyring.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>

#include "base/hash.h"
#include "collab/keys.h"

namespace bantam::server {

bool Caller::may_ask(std::string_view model) const {
  return teams.empty() || std::find(teams.begin(), teams.end(), model) != teams.end();
}

Result<Keyring> Keyring::open(const ServerConfig& config, std::shared_ptr<collab::Recorder> recorder) {
  Keyring out;
  if (!config.api_key_env.empty()) {
    const char* key = std::getenv(config.api_key_env.c_str());
    if (!key || !*key)
      return fail(Code::kNotFound, "the environment variable {} (server.api_key_env) is not set",
                  config.api_key_env);
    out.entries_.push_back({sha256_hex(key), {"default", {}}});
  }
  for (const KeyConfig& key : config.policy.keys) out.entries_.push_back({key.sha256, {key.name, key.teams}});
  if (config.policy.ledger_keys) out.recorder_ = std::move(recorder);
  out.needed_ = !out.entries_.empty() || out.recorder_;
  return out;
}

std::optional<Caller> Keyring::find(std::string_view key) const {
  if (!needed_) return Caller();
  const std::string hash = sha256_hex(key);
  std::optional<Caller> found;
  for (const Entry& entry : entries_) {
    bool same = CRYPTO_memcmp(entry.hash.data(), hash.data(), hash.size()) == 0;
    if (same && !found) found = entry.caller;
  }
  if (found || !recorder_) return found;
  auto keys = recorder_->keys();
  if (const collab::KeyRow* row = collab::find_key(*keys, key)) return Caller{row->name, row->teams};
  return std::nullopt;
}

}  // namespace bantam::server
