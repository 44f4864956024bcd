#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace bantam {

/// SHA-256 as 64 lower-case hexadecimal digits (FIPS 180-4, by OpenSSL).
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

}  // namespace bantam
