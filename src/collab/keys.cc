#include "collab/keys.h"

#include <openssl/crypto.h>

#include "base/hash.h"

namespace bantam::collab {
namespace {

constexpr std::string_view kPrefix = "bt-";
constexpr size_t kIdDigits = 16;

}  // namespace

Result<NewKey> make_key() {
  BANTAM_ASSIGN(std::string id, random_id());
  BANTAM_ASSIGN(std::string first, random_id());
  BANTAM_ASSIGN(std::string second, random_id());
  id.resize(kIdDigits);
  std::string secret = first + second;
  return NewKey{std::string(kPrefix) + id + "-" + secret, id, sha256_hex(secret)};
}

const KeyRow* find_key(const std::vector<KeyRow>& keys, std::string_view sent) {
  if (!sent.starts_with(kPrefix) || sent.size() <= kPrefix.size() + kIdDigits + 1) return nullptr;
  std::string_view id = sent.substr(kPrefix.size(), kIdDigits);
  if (sent[kPrefix.size() + kIdDigits] != '-') return nullptr;
  const std::string hash = sha256_hex(sent.substr(kPrefix.size() + kIdDigits + 1));
  // The id is no secret; only the hash is, and hashes have one length.
  for (const KeyRow& key : keys) {
    if (key.id == id && key.hash.size() == hash.size() &&
        CRYPTO_memcmp(key.hash.data(), hash.data(), hash.size()) == 0)
      return &key;
  }
  return nullptr;
}

}  // namespace bantam::collab
