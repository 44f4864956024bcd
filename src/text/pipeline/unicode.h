#pragma once
// Classes and forms of characters, from utf8proc's tables.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace bantam::text {

bool is_white_space(uint32_t code);  // Unicode's White_Space
bool is_mark(uint32_t code);         // Mn: accents that stand above or below another character
bool is_control(uint32_t code);      // categories C*
bool is_punctuation(uint32_t code);  // categories P*, and ASCII's symbols
bool is_number(uint32_t code);       // categories N*
bool is_word(uint32_t code);         // letters, marks, numbers, connectors: Unicode's \w
bool is_cjk(uint32_t code);          // ideographs that BERT keeps apart

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// Broken UTF-8 stays as it is.
std::string normal_form(std::string_view text, NormalForm form);
std::string lower_case(std::string_view text);
/// Calls `each(code, bytes)` for each character; a byte of broken UTF-8 is one, of code 0xFFFFFFFF.
void each_character(std::string_view text, const std::function<void(uint32_t, std::string_view)>& each);
inline constexpr uint32_t kBrokenByte = 0xFFFFFFFF;

}  // namespace bantam::text
