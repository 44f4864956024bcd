#pragma once
// UTF-8 as Unicode 15, table 3-7, defines it: no overlong forms, no surrogates, nothing above U+10FFFF.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bantam {

/// What `text` starts with: `length` 1 to 4 and the code point where it is well formed; else length 0, and
/// `cut` when the text ends inside a sequence that is well formed so far. An empty text is {0, 0, false}.
struct Utf8Char {
  int length = 0;
  uint32_t code = 0;
  bool cut = false;
};
Utf8Char utf8_front(std::string_view text);

/// The offset of the first byte that begins no well-formed sequence, or npos.
size_t find_broken_utf8(std::string_view text);

/// Whether a byte goes on with a character that began before it.
inline bool continues_character(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

/// The largest offset that is at most `at` and no character spans; size() where `at` is not below it.
size_t utf8_cut(std::string_view text, size_t at);

/// Characters of a well-formed text: bytes that begin one.
size_t utf8_length(std::string_view text);

/// Appends a code point (at most U+10FFFF, no surrogate).
void append_utf8(std::string& out, uint32_t code);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace bantam
