#include "collab/agreement.h"

#include <utf8proc.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "collab/characters.h"
#include "net/json.h"

namespace bantam::collab {
namespace {

std::string folded(std::string_view text) {
  utf8proc_uint8_t* out = nullptr;
  auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                                UTF8PROC_IGNORE | UTF8PROC_STABLE);
  utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &out, options);
  if (size < 0) return std::string(text);  // broken UTF-8
  std::string folded(reinterpret_cast<char*>(out), static_cast<size_t>(size));
  std::free(out);  // the library's contract: allocated by malloc
  return folded;
}

enum class CharacterKind { kLetter, kDigit, kApostrophe, kJoiner, kOther };

CharacterKind kind_of(uint32_t code) {
  if (code >= '0' && code <= '9') return CharacterKind::kDigit;
  if (code == '\'' || code == 0x2019) return CharacterKind::kApostrophe;
  if (code == '.' || code == ',' || code == ':' || code == '-' || code == '/') return CharacterKind::kJoiner;
  if (is_letter(code)) return CharacterKind::kLetter;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_SC:  // 5 $ is not 5 €
    case UTF8PROC_CATEGORY_SM:  // nor is < the same as >
      return CharacterKind::kLetter;
    case UTF8PROC_CATEGORY_ND:
      return CharacterKind::kDigit;
    default:
      return CharacterKind::kOther;
  }
}

bool has_digit(std::string_view word) {
  return std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_prefix(std::span<const std::string> a, std::span<const std::string> b) {
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
}

/// The words that no continuation of the text can change.
std::vector<std::string> settled_words(std::string_view text, bool whole) {
  auto words = normal_words(text);
  bool open = !whole && !text.empty() && !is_space(text.back());
  if (open && !words.empty()) words.pop_back();  // "19" may become "19:30"
  return words;
}

Match compare_prefixes(std::span<const std::string> a, bool a_whole, std::span<const std::string> b,
                       bool b_whole) {
  if (a_whole && b_whole) return std::ranges::equal(a, b) ? Match::kAgree : Match::kDisagree;
  size_t shared = std::min(a.size(), b.size());
  if (!std::equal(a.begin(), a.begin() + static_cast<ptrdiff_t>(shared), b.begin())) return Match::kDisagree;
  bool too_long = (a_whole && !is_prefix(b, a)) || (b_whole && !is_prefix(a, b));
  return too_long ? Match::kDisagree : Match::kOpen;
}

Match compare_bytes(std::string_view a, bool a_whole, std::string_view b, bool b_whole) {
  a = trimmed(a);
  b = trimmed(b);
  if (a_whole && b_whole) return a == b ? Match::kAgree : Match::kDisagree;
  size_t shared = std::min(a.size(), b.size());
  if (a.substr(0, shared) != b.substr(0, shared)) return Match::kDisagree;
  bool too_long = (a_whole && b.size() > a.size()) || (b_whole && a.size() > b.size());
  return too_long ? Match::kDisagree : Match::kOpen;
}

bool same_numbers(std::span<const std::string> a, std::span<const std::string> b) {
  std::map<std::string_view, int> count;
  for (const std::string& word : a) count[word] += has_digit(word);
  for (const std::string& word : b) count[word] -= has_digit(word);
  return std::ranges::all_of(count, [](const auto& entry) { return entry.second == 0; });
}

}  // namespace

std::vector<std::string> normal_words(std::string_view text) {
  std::string line = folded(text);
  std::vector<std::string> out;
  std::string word, joiner;  // the joiner after a digit, until it is known what follows it
  auto end_word = [&] {
    if (!word.empty()) out.push_back(std::exchange(word, {}));
    joiner.clear();
  };
  for (std::string_view rest = line; !rest.empty();) {
    Utf8Char c = utf8_front(rest);
    size_t length = static_cast<size_t>(std::max(c.length, 1));
    std::string_view bytes = rest.substr(0, length);
    rest.remove_prefix(length);
    CharacterKind kind = c.length == 0 ? CharacterKind::kLetter : kind_of(c.code);
    if (kind == CharacterKind::kApostrophe) continue;
    if (kind == CharacterKind::kJoiner && joiner.empty() && !word.empty() && word.back() >= '0' &&
        word.back() <= '9') {
      joiner = bytes;
      continue;
    }
    if (kind == CharacterKind::kJoiner || kind == CharacterKind::kOther ||
        (!joiner.empty() && kind != CharacterKind::kDigit)) {
      end_word();
      if (kind == CharacterKind::kJoiner || kind == CharacterKind::kOther) continue;
    }
    word += std::exchange(joiner, {});
    word += bytes;
  }
  end_word();
  return out;
}

double word_overlap(std::span<const std::string> a, std::span<const std::string> b) {
  if (a.empty() && b.empty()) return 1;
  std::map<std::string_view, int64_t> count;
  for (const std::string& word : a) ++count[word];
  int64_t shared = 0;
  for (const std::string& word : b) shared += count[word]-- > 0;
  return 2.0 * static_cast<double>(shared) / static_cast<double>(a.size() + b.size());
}

Match compare_texts(const Agreement& agreement, std::string_view a, bool a_whole, std::string_view b,
                    bool b_whole) {
  switch (agreement.measure) {
    case Measure::kEqual:
      return compare_bytes(a, a_whole, b, b_whole);
    case Measure::kNormalised:
      return compare_prefixes(settled_words(a, a_whole), a_whole, settled_words(b, b_whole), b_whole);
    case Measure::kWords: {
      if (!a_whole || !b_whole) return Match::kOpen;
      auto left = normal_words(a), right = normal_words(b);
      bool agree = same_numbers(left, right) && word_overlap(left, right) >= agreement.bound;
      return agree ? Match::kAgree : Match::kDisagree;
    }
    case Measure::kJudge:
      return Match::kOpen;
  }
  return Match::kOpen;
}

bool same_calls(std::span<const chat::ToolCall> a, std::span<const chat::ToolCall> b) {
  return std::ranges::equal(a, b, [](const chat::ToolCall& x, const chat::ToolCall& y) {
    if (x.name != y.name) return false;
    if (x.arguments == y.arguments) return true;
    auto left = net::parse_json(x.arguments, "arguments"), right = net::parse_json(y.arguments, "arguments");
    return left && right && *left == *right;
  });
}

}  // namespace bantam::collab
