// Names of persons by what stands around them. It finds many and not all: lists (Terms) are for the others.

#include <utf8proc.h>

#include <algorithm>
#include <sstream>
#include <unordered_set>

#include "base/utf8.h"
#include "collab/characters.h"
#include "collab/given_names.h"
#include "collab/recognise.h"

namespace bantam::collab {
namespace {

constexpr size_t kMostParts = 4;  // of a name

bool is_word_character(uint32_t code) {
  if (code < 0x80) return (code | 0x20) - 'a' < 26 || code - '0' < 10;
  return is_letter(code) || utf8proc_category(static_cast<utf8proc_int32_t>(code)) == UTF8PROC_CATEGORY_ND;
}

using Set = std::unordered_set<std::string>;

Set set_of(const char* words) {
  std::istringstream in(words);
  Set out;
  for (std::string word; in >> word;) out.insert(word);
  return out;
}

const Set& titles() {
  static const Set words = set_of(
      "mr mrs ms miss mx dr prof professor doctor herr herrn frau fräulein monsieur madame mademoiselle mme "
      "mlle "
      "señor señora sr sra signor signora sig dña sir lady lord rev captain capt sgt");
  return words;
}
const Set& particles() {
  static const Set words =
      set_of("van der den von vom zu de la los del della di da dos du le bin ibn al el ter ten af av");
  return words;
}
const Set& given_names() {
  static const Set words = set_of(kGivenNames);
  return words;
}

/// After these stands a name, be it one word.
const char* const kStated[] = {
    "my name is",    "my name's",    "name is",       "i am called",  "ich heiße",     "ich heisse",
    "mein name ist", "je m'appelle", "mon nom est",   "me llamo",     "mi nombre es",  "mi chiamo",
    "meu nome é",    "full name",    "customer name", "patient name", "employee name", "account holder",
    "cardholder",    "card holder",  "beneficiary",   "first name",   "last name",     "surname",
    "given name",    "name",         "nombre",        "nom",          "cognome",       "nachname",
    "vorname"};
/// After these two capitalised words or more are one.
const char* const kOpened[] = {
    "i am",      "i'm",      "this is",      "dear",    "hi",      "hello",     "hey",      "hallo",
    "liebe",     "lieber",   "sehr geehrte", "bonjour", "hola",    "estimado",  "estimada", "signed",
    "sincerely", "regards",  "best",         "cheers",  "thanks",  "thank you", "yours",    "faithfully",
    "grüße",     "grüßen",   "cordialement", "saludos", "attn",    "attention", "contact",  "customer",
    "client",    "patient",  "employee",     "tenant",  "manager", "colleague", "cc",       "ask",
    "tell",      "spoke to", "spoke with",   "met",     "called"};

const Terms& openings(bool stated) {
  static const auto make = [](auto& phrases) {
    Terms terms;
    for (const char* phrase : phrases) terms.add(phrase);
    return terms;
  };
  static const Terms one = make(kStated), two = make(kOpened);
  return stated ? one : two;
}

class Names {
 public:
  explicit Names(std::string_view text) : text_(text), words_(words_of(text)) {}

  void find(const Type& type, Spans& out) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      if (!words_[i].capital) continue;
      size_t first = i;
      if (titles().contains(words_[i].lower)) {
        while (first + 1 < words_.size() && titles().contains(words_[first].lower) && close(first)) ++first;
        if (!titles().contains(words_[first].lower)) add(first, 1, type, out);
      } else if (given_names().contains(words_[i].lower)) {
        if (i > 0 && words_[i - 1].capital && gap(i - 1) == ", ")  // "Surname, Given"
          add_span(out, type, words_[i - 1].begin, words_[i].end);
        add(i, 2, type, out);
      }
    }
    static const Type opening;
    for (bool stated : {true, false}) {
      Spans openings_here;
      openings(stated).find(text_, opening, openings_here);
      size_t word = 0;
      for (const Span& span : openings_here) {
        while (word < words_.size() && words_[word].begin < span.end) ++word;
        if (word == words_.size()) break;
        if (opens(text_.substr(span.end, words_[word].begin - span.end)))
          add(word, stated ? 1 : 2, type, out);
      }
    }
  }

 private:
  std::string_view gap(size_t i) const {
    return text_.substr(words_[i].end, words_[i + 1].begin - words_[i].end);
  }
  /// Whether the next word may belong to the same name.
  bool close(size_t i) const {
    std::string_view between = gap(i);
    return between == " " || between == ". " || between == "." || joined(i);
  }
  bool joined(size_t i) const { return gap(i) == "-" || gap(i) == "'"; }
  /// What may stand between an opening and the name.
  static bool opens(std::string_view between) {
    size_t marks = 0;
    for (char c : between) {
      if (std::string_view(",:.!=\"'").find(c) != std::string_view::npos) {
        ++marks;
      } else if (c != ' ' && c != '\n' && c != '\r') {
        return false;
      }
    }
    return marks <= 3 && between.size() <= 8;
  }
  bool capital(size_t i) const { return i < words_.size() && words_[i].capital; }

  /// The name that begins at a word, if it has `fewest` parts.
  void add(size_t first, size_t fewest, const Type& type, Spans& out) const {
    if (!capital(first)) return;
    size_t parts = 1, last = first;
    while (parts < kMostParts && last + 1 < words_.size()) {
      bool initial = words_[last].lower.size() == 1;
      if (joined(last) && (words_[last + 1].capital || gap(last) == "-")) {
        ++last;
        continue;
      }
      if (gap(last) != " " && !(initial && close(last))) break;
      size_t next = last + 1;
      while (next + 1 < words_.size() && next - last <= 3 && particles().contains(words_[next].lower) &&
             !words_[next].capital && gap(next) == " ")
        ++next;
      if (!capital(next)) break;
      last = next;
      ++parts;
    }
    if (parts >= fewest) add_span(out, type, words_[first].begin, words_[last].end);
  }

  std::string_view text_;
  std::vector<Word> words_;
};

}  // namespace

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> out;
  bool within = false;
  for (size_t i = 0; i < text.size();) {
    Utf8Char c = utf8_front(text.substr(i));
    size_t length = static_cast<size_t>(std::max(c.length, 1));
    if (c.length > 0 && is_word_character(c.code)) {
      uint32_t lower = c.code < 0x80
                           ? (c.code - 'A' < 26 ? c.code | 0x20 : c.code)
                           : static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code)));
      if (!within) {
        out.push_back({i, i, {}, lower != c.code});
        within = true;
      }
      out.back().end = i + length;
      append_utf8(out.back().lower, lower);
    } else {
      within = false;
    }
    i += length;
  }
  return out;
}

void find_names(std::string_view text, const Type& type, Spans& out) { Names(text).find(type, out); }

}  // namespace bantam::collab
