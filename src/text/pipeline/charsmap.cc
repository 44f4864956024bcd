#include "text/pipeline/charsmap.h"

#include <cstring>

#include "base/utf8.h"

namespace bantam::text {

Result<CharsMap> CharsMap::parse(std::string_view blob) {
  uint32_t bytes = 0;
  if (blob.size() >= sizeof bytes) std::memcpy(&bytes, blob.data(), sizeof bytes);
  if (blob.size() < sizeof bytes || bytes % 4 != 0 || bytes > blob.size() - sizeof bytes || bytes == 0)
    return fail(Code::kCorrupt,
                "precompiled_charsmap: found {} bytes with an array of {}, expected the array inside",
                blob.size(), bytes);
  CharsMap out;
  out.units_.resize(bytes / 4);
  std::memcpy(out.units_.data(), blob.data() + sizeof bytes, bytes);
  out.replacements_ = std::string(blob.substr(sizeof bytes + bytes));
  if (out.replacements_.empty() || out.replacements_.back() != '\0') out.replacements_ += '\0';
  return out;
}

std::optional<std::pair<size_t, std::string_view>> CharsMap::longest(std::string_view text) const {
  // A unit holds the character that leads to it (bits 0 to 7, bit 31 clear), whether a value hangs below it
  // (bit 8) and the offset of its children (bits 10 to 30, times 256 where bit 9 is set); a value's unit has
  // bit 31 set.
  auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
  std::optional<std::pair<size_t, std::string_view>> out;
  uint32_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || (units_[node] & ((1U << 31) | 0xFF)) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if ((unit >> 8 & 1) == 0) continue;
    if (node >= units_.size()) break;
    const uint32_t place = units_[node] & ~(1U << 31);
    if (place >= replacements_.size()) break;
    out = {i + 1, std::string_view(replacements_.c_str() + place)};
  }
  return out;
}

std::string CharsMap::normalized(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (const auto found = longest(text)) {
      out += found->second;
      text.remove_prefix(found->first);
      continue;
    }
    const Utf8Char front = utf8_front(text);
    const size_t length = front.length > 0 ? static_cast<size_t>(front.length) : 1;
    out += front.length > 0 ? text.substr(0, length) : kReplacementCharacter;
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace bantam::text
