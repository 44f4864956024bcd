#pragma once
// Internal to redaction: a text as recognisers see it, and the recognisers.

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bantam::collab {

/// A copy of a text in which variants of ASCII characters are ASCII and invisible characters are gone.
struct Folded {
  std::string text;
  std::vector<uint32_t> at;  // of each byte, and of the end: where it stands in the original
};
/// `original` has less than 4 GiB. Bytes that are no UTF-8 become U+FFFD.
Folded fold(std::string_view original);

/// A finding in a folded text. When two overlap, the type with the lower rank names both.
struct Span {
  size_t begin = 0, end = 0;
  unsigned rank = 0;
  const std::string* type = nullptr;
};

struct Type {
  std::string name;  // "EMAIL"
  unsigned rank = 0;
};
using Spans = std::vector<Span>;
inline void add_span(Spans& out, const Type& type, size_t begin, size_t end) {
  if (begin < end) out.push_back({begin, end, type.rank, &type.name});
}

// By their digits and checksums (recognise_numbers.cc).
void find_cards(std::string_view text, const Type& type, Spans& out);
void find_phones(std::string_view text, const Type& type, Spans& out);
void find_ibans(std::string_view text, const Type& type, Spans& out);
void find_ips(std::string_view text, const Type& type, Spans& out);

/// Matches of a pattern; the first group where it has one.
void find_pattern(std::string_view text, const re2::RE2& pattern, const Type& type, Spans& out);

/// A run of letters and digits.
struct Word {
  size_t begin = 0, end = 0;
  std::string lower;
  bool capital = false;  // its first letter
};
std::vector<Word> words_of(std::string_view text);

/// Names by titles, introductions and common given names (recognise_names.cc).
void find_names(std::string_view text, const Type& type, Spans& out);

/// Phrases as whole words in any case; between their words anything short that is no word may stand.
class Terms {
 public:
  void add(std::string_view phrase);
  void find(std::string_view text, const Type& type, Spans& out) const;
  bool empty() const { return by_first_.empty(); }

 private:
  std::unordered_map<std::string, std::vector<std::vector<std::string>>> by_first_;
};

/// The patterns that come with the recognisers of e-mail and postal addresses.
std::vector<std::string> email_patterns();
std::vector<std::string> address_patterns();

}  // namespace bantam::collab
