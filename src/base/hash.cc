#include "base/hash.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

namespace bantam {
namespace {

std::string hex_of(std::span<const unsigned char> digest) {
  std::string out;
  for (unsigned char byte : digest) out += fmt::format("{:02x}", byte);
  return out;
}

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

std::string sha256_hex(std::span<const std::byte> bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return hex_of(digest);
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(as_context(context_), EVP_sha256(), nullptr);
}
Sha256::~Sha256() { EVP_MD_CTX_free(as_context(context_)); }
void Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(as_context(context_), bytes.data(), bytes.size());
}
std::string Sha256::hex() const {
  unsigned char digest[SHA256_DIGEST_LENGTH] = {};
  EVP_MD_CTX* copy = EVP_MD_CTX_new();
  EVP_MD_CTX_copy_ex(copy, as_context(context_));
  EVP_DigestFinal_ex(copy, digest, nullptr);
  EVP_MD_CTX_free(copy);
  return hex_of(digest);
}

}  // namespace bantam
