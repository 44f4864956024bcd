#include "collab/claims.h"

#include <algorithm>
#include <array>
#include <set>

#include "collab/agreement.h"
#include "collab/characters.h"

namespace bantam::collab {
namespace {

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
/// Letters beyond ASCII count as such: their bytes have the highest bit.
bool is_word_char(char c) {
  return is_ascii_letter(c) || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

constexpr std::array<std::string_view, 17> kAbbreviations = {"dr",  "mr",  "mrs", "ms",  "prof",  "st",
                                                             "vs",  "e.g", "i.e", "etc", "cf",    "no",
                                                             "fig", "al",  "inc", "ltd", "approx"};

/// Whether the full stop at `at` belongs to an abbreviation or an initial.
bool abbreviates(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && (is_ascii_letter(text[begin - 1]) || text[begin - 1] == '.')) --begin;
  std::string word;
  for (char c : text.substr(begin, at - begin))
    word += is_ascii_letter(c) && !is_lower(c) ? static_cast<char>(c + 32) : c;
  if (word.size() == 1 && is_ascii_letter(word[0])) return word[0] != 'i';
  return std::ranges::find(kAbbreviations, word) != kAbbreviations.end();
}

/// Whether a sentence ends with the character at `at`.
bool ends_sentence(std::string_view text, size_t at) {
  char c = text[at];
  if (c != '.' && c != '!' && c != '?') return false;
  size_t next = at + 1;
  while (next < text.size() &&
         (text[next] == '"' || text[next] == ')' || text[next] == ']' || text[next] == '\''))
    ++next;
  if (next < text.size() && !is_space(text[next])) return false;
  if (c != '.') return true;
  if (abbreviates(text, at)) return false;
  while (next < text.size() && is_space(text[next])) ++next;
  return next == text.size() || !is_lower(text[next]);
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::vector<Claim> split(ClaimSplit how) {
    for (size_t begin = 0; begin < text_.size();) {
      size_t end = std::min(text_.find('\n', begin), text_.size());
      std::string_view line = text_.substr(begin, end - begin);
      bool markup = line.starts_with("#") || line.starts_with("```");
      if (!markup) take_line(begin, end, how);
      begin = end + 1;
    }
    return std::move(out_);
  }

 private:
  void take_line(size_t begin, size_t end, ClaimSplit how) {
    size_t start = begin;
    for (size_t at = begin; at < end; ++at) {
      bool ends = how == ClaimSplit::kWords       ? is_space(text_[at])
                  : how == ClaimSplit::kSentences ? ends_sentence(text_.substr(0, end), at)
                                                  : false;
      if (!ends) continue;
      size_t stop = at + 1;
      while (how == ClaimSplit::kSentences && stop < end && !is_space(text_[stop])) ++stop;  // closing quotes
      add(start, stop);
      start = stop;
    }
    add(start, end);
  }

  void add(size_t begin, size_t end) {
    while (begin < end && is_space(text_[begin])) ++begin;
    while (begin < end && is_space(text_[end - 1])) --end;
    std::string_view claim = text_.substr(begin, end - begin);
    if (claim.ends_with('?') || std::ranges::none_of(claim, is_word_char)) return;
    out_.push_back({begin, end});
  }

  std::string_view text_;
  std::vector<Claim> out_;
};

/// Takes away the line that ends `text` when it holds nothing but list marks.
void drop_empty_line(std::string& text) {
  size_t begin = text.rfind('\n');
  begin = begin == text.npos ? 0 : begin + 1;
  std::string_view line = std::string_view(text).substr(begin);
  bool marks_only = std::ranges::none_of(
      line, [](char c) { return is_ascii_letter(c) || static_cast<unsigned char>(c) >= 0x80; });
  if (marks_only) text.erase(begin);
}

}  // namespace

std::vector<Claim> claims_of(std::string_view text, ClaimSplit split) { return Splitter(text).split(split); }

std::string without_unsupported(std::string_view text, std::span<const Claim> claims,
                                std::span<const bool> supported, Unsupported what, std::string_view mark) {
  std::string out;
  size_t at = 0;
  for (size_t i = 0; i < claims.size(); ++i) {
    if (supported[i]) continue;
    out += text.substr(at, claims[i].begin - at);
    at = claims[i].end;
    if (what == Unsupported::kMark) {
      out += claims[i].of(text);
      out += mark;
      continue;
    }
    if (at == text.size() || text[at] == '\n') {
      drop_empty_line(out);
      bool whole_line = out.empty() || out.back() == '\n';
      if (whole_line && at < text.size()) ++at;
    } else {
      while (at < text.size() && text[at] == ' ') ++at;
    }
  }
  out += text.substr(at);
  while (what == Unsupported::kRemove && !out.empty() && is_space(out.back())) out.pop_back();
  return out;
}

double lexical_support(std::string_view claim, std::string_view source) {
  auto words = normal_words(claim), pool = normal_words(source);
  std::set<std::string_view> known(pool.begin(), pool.end());
  size_t counted = 0, found = 0;
  for (const std::string& word : words) {
    bool number = std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
    bool has = known.contains(word);
    if (number && !has) return 0;
    if (!number && word.size() < 3) continue;
    ++counted;
    found += has;
  }
  return counted == 0 ? 1 : static_cast<double>(found) / static_cast<double>(counted);
}

}  // namespace bantam::collab
