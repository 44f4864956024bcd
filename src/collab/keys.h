#pragma once
// API keys: made here, stored as hashes.
//
// A key is "bt-ID-SECRET": 8 random bytes by which its row is found, and 32 random bytes that prove it, both
// in hexadecimal. What is stored is SHA-256(SECRET). That hash is fast and unsalted on purpose: guessing a
// secret of 256 random bits is as hopeless with a fast hash as with a slow one, no table can hold such
// secrets, and a slow hash would cost the server milliseconds a request, for anyone who sends it wrong keys.
// (Passwords that people choose would be another matter; they are not taken.)

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "collab/ledger.h"

namespace bantam::collab {

struct NewKey {
  std::string key;       // to be shown once
  std::string id, hash;  // to be stored
};
/// Errors: kIo when the system gives no random numbers.
Result<NewKey> make_key();

/// The row of a key that a client sent; null when there is none. Hashes are compared in constant time.
const KeyRow* find_key(const std::vector<KeyRow>& keys, std::string_view sent);

}  // namespace bantam::collab
