#include <algorithm>

#include "base/utf8.h"
#include "collab/recognise.h"

namespace bantam::collab {
namespace {

bool in(uint32_t c, uint32_t first, uint32_t last) { return c >= first && c <= last; }

/// Zero-width spaces and joiners, marks of direction, soft hyphens, variation selectors.
bool is_invisible(uint32_t c) {
  return c == 0xAD || c == 0x34F || c == 0x61C || in(c, 0x180B, 0x180E) || in(c, 0x200B, 0x200F) ||
         in(c, 0x202A, 0x202E) || in(c, 0x2060, 0x206F) || in(c, 0xFE00, 0xFE0F) || c == 0xFEFF ||
         in(c, 0xE0000, 0xE0FFF);
}

/// The first code points of other scripts' digits 0 to 9.
constexpr uint32_t kDigits[] = {0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66,
                                0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20, 0x1040};

/// The ASCII character that `c` is a variant of, or `c`.
uint32_t to_ascii(uint32_t c) {
  if (c < 0x80) return c == '\t' ? ' ' : c;
  if (in(c, 0xFF01, 0xFF5E)) return c - 0xFF01 + '!';
  if (c == 0xA0 || c == 0x1680 || in(c, 0x2000, 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000)
    return ' ';
  if (in(c, 0x2010, 0x2015) || c == 0x2043 || c == 0x2212 || c == 0xFE58 || c == 0xFE63) return '-';
  if (c == 0x2018 || c == 0x2019 || c == 0x2BC || c == 0x2032) return '\'';
  if (c == 0x2024 || c == 0x3002 || c == 0xFF61) return '.';
  if (c == 0xFE6B) return '@';
  if (c == 0xFE55 || c == 0x2236 || c == 0xA789) return ':';
  if (c == 0x2044 || c == 0x2215) return '/';
  for (uint32_t zero : kDigits) {
    if (in(c, zero, zero + 9)) return '0' + (c - zero);
  }
  if (in(c, 0x1D400, 0x1D6A3)) {  // mathematical letters: alphabets of 26 capitals and 26 small ones
    uint32_t letter = (c - 0x1D400) % 52;
    return letter < 26 ? 'A' + letter : 'a' + (letter - 26);
  }
  if (in(c, 0x1D7CE, 0x1D7FF)) return '0' + (c - 0x1D7CE) % 10;
  return c;
}

}  // namespace

Folded fold(std::string_view original) {
  constexpr uint32_t kReplacement = 0xFFFD;
  Folded out;
  out.text.reserve(original.size());
  out.at.reserve(original.size() + 1);
  for (size_t i = 0; i < original.size();) {
    Utf8Char c = utf8_front(original.substr(i));
    uint32_t code = c.length > 0 ? c.code : kReplacement;
    if (!is_invisible(code)) {
      append_utf8(out.text, to_ascii(code));
      out.at.resize(out.text.size(), static_cast<uint32_t>(i));
    }
    i += static_cast<size_t>(std::max(c.length, 1));
  }
  out.at.push_back(static_cast<uint32_t>(original.size()));
  return out;
}

}  // namespace bantam::collab
