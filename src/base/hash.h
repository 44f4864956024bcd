#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace bantam {

/// SHA-256 as 64 lower-case hexadecimal digits (FIPS 180-4, by OpenSSL).
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

/// The same of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  /// Of what came so far.
  std::string hex() const;

 private:
  void* context_;
};

}  // namespace bantam
