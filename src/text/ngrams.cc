#include "text/ngrams.h"

#include <utf8proc.h>

namespace bantam::text {
namespace {

bool is_space(utf8proc_int32_t c) {
  if (c >= 9 && c <= 13) return true;
  if ((c >= 0x1c && c <= 0x1f) || c == 0x85) return true;  // as Python's \s
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool is_word(utf8proc_int32_t c) {
  if (c == '_') return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

}  // namespace

LowerText::LowerText(std::string_view text) {
  text_.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = -1;
    const auto used = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    if (used <= 0) c = 0xfffd;
    at += used > 0 ? static_cast<size_t>(used) : 1;
    c = utf8proc_tolower(c);
    points_.push_back({text_.size(), is_space(c) ? Kind::kSpace : is_word(c) ? Kind::kWord : Kind::kOther});
    utf8proc_uint8_t encoded[4];
    const auto length = utf8proc_encode_char(c, encoded);
    text_.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(length));
  }
  points_.push_back({text_.size(), Kind::kSpace});
}

std::string_view LowerText::slice(size_t first, size_t last) const {
  const size_t begin = points_[first].offset;
  return std::string_view(text_).substr(begin, points_[last].offset - begin);
}

void LowerText::word_ngrams(int min, int max, const Sink& sink) const {
  std::vector<std::string_view> words;
  size_t first = 0;
  for (size_t i = 0; i < points_.size(); ++i) {
    if (points_[i].kind == Kind::kWord) continue;
    if (i - first >= 2) words.push_back(slice(first, i));
    first = i + 1;
  }
  std::string joined;
  for (int n = min; n <= max; ++n) {
    for (size_t i = 0; i + static_cast<size_t>(n) <= words.size(); ++i) {
      joined = words[i];
      for (size_t j = i + 1; j < i + static_cast<size_t>(n); ++j) joined.append(" ").append(words[j]);
      sink(joined);
    }
  }
}

void LowerText::char_ngrams(int min, int max, const Sink& sink) const {
  std::string word;
  std::vector<size_t> offsets;  // of the padded word's code points, and its end
  size_t first = 0;
  for (size_t i = 0; i < points_.size(); ++i) {
    if (points_[i].kind != Kind::kSpace) continue;
    if (i > first) {
      word.assign(" ").append(slice(first, i)).append(" ");
      offsets.assign(1, 0);
      for (size_t p = first; p <= i; ++p) offsets.push_back(1 + points_[p].offset - points_[first].offset);
      offsets.push_back(word.size());
      const size_t length = offsets.size() - 1;
      for (auto n = static_cast<size_t>(min); n <= static_cast<size_t>(max); ++n) {
        if (length <= n) {
          sink(word);
          break;
        }
        for (size_t p = 0; p + n <= length; ++p) {
          sink(std::string_view(word).substr(offsets[p], offsets[p + n] - offsets[p]));
        }
      }
    }
    first = i + 1;
  }
}

}  // namespace bantam::text
