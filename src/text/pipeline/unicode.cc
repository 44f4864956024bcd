#include "text/pipeline/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "base/utf8.h"

namespace bantam::text {
namespace {

utf8proc_category_t category(uint32_t code) {
  return code > 0x10FFFF ? UTF8PROC_CATEGORY_CN : utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

}  // namespace

bool is_white_space(uint32_t code) {
  const auto c = category(code);
  return (code >= 9 && code <= 13) || code == 0x85 || c == UTF8PROC_CATEGORY_ZS ||
         c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

bool is_mark(uint32_t code) { return category(code) == UTF8PROC_CATEGORY_MN; }

bool is_control(uint32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CO ||
         c == UTF8PROC_CATEGORY_CS || c == UTF8PROC_CATEGORY_CN;
}

bool is_punctuation(uint32_t code) {
  if (code < 0x80)
    return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
           (code >= 123 && code <= 126);
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool is_number(uint32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool is_word(uint32_t code) {
  const auto c = category(code);
  return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
         (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME) || c == UTF8PROC_CATEGORY_ND ||
         c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_PC;
}

bool is_cjk(uint32_t code) {
  constexpr std::pair<uint32_t, uint32_t> kRanges[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::ranges::any_of(kRanges,
                             [&](auto range) { return code >= range.first && code <= range.second; });
}

std::string normal_form(std::string_view text, NormalForm form) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return std::string(text);
  constexpr int kCompatible = UTF8PROC_STABLE | UTF8PROC_COMPAT;
  const int options = form == NormalForm::kNfc    ? UTF8PROC_STABLE | UTF8PROC_COMPOSE
                      : form == NormalForm::kNfd  ? UTF8PROC_STABLE | UTF8PROC_DECOMPOSE
                      : form == NormalForm::kNfkc ? kCompatible | UTF8PROC_COMPOSE
                                                  : kCompatible | UTF8PROC_DECOMPOSE;
  std::string out;
  while (!text.empty()) {
    const size_t broken = std::min(find_broken_utf8(text), text.size());
    utf8proc_uint8_t* mapped = nullptr;
    const auto length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(broken), &mapped, static_cast<utf8proc_option_t>(options));
    if (length >= 0) {
      out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
    } else {
      out += text.substr(0, broken);
    }
    std::free(mapped);
    if (broken < text.size()) out += text[broken];
    text.remove_prefix(std::min(broken + 1, text.size()));
  }
  return out;
}

std::string lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  each_character(text, [&](uint32_t code, std::string_view bytes) {
    if (code == 0x130) {  // İ is the one letter whose small form has two characters
      out += "i\xCC\x87";
    } else if (code == kBrokenByte) {
      out += bytes;
    } else {
      append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
    }
  });
  return out;
}

void each_character(std::string_view text, const std::function<void(uint32_t, std::string_view)>& each) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Char front = utf8_front(text.substr(i));
    const size_t length = front.length > 0 ? static_cast<size_t>(front.length) : 1;
    each(front.length > 0 ? front.code : kBrokenByte, text.substr(i, length));
    i += length;
  }
}

}  // namespace bantam::text
