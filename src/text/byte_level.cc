#include "text/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace bantam::text {
namespace {

constexpr uint32_t kCharacters = 0x144;  // one above the largest that is used

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr std::array<uint32_t, 256> kToCharacter = [] {
  std::array<uint32_t, 256> out{};
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) out[byte] = stands_for_itself(byte) ? byte : next++;
  return out;
}();

constexpr std::array<int, kCharacters> kToByte = [] {
  std::array<int, kCharacters> out{};
  out.fill(-1);
  for (int byte = 0; byte < 256; ++byte) out[kToCharacter[byte]] = byte;
  return out;
}();

}  // namespace

std::string bytes_to_text(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) append_utf8(out, kToCharacter[byte]);
  return out;
}

std::optional<std::string> text_to_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    Utf8Char front = utf8_front(text);
    if (front.length == 0 || front.code >= kCharacters || kToByte[front.code] < 0) return std::nullopt;
    out += static_cast<char>(kToByte[front.code]);
    text.remove_prefix(front.length);
  }
  return out;
}

}  // namespace bantam::text
