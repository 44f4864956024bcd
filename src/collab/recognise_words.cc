// Recognisers of what is made of words: e-mail addresses, names, postal addresses, lists of terms.

#include <fmt/core.h>

#include <algorithm>

#include "base/utf8.h"
#include "collab/recognise.h"

namespace bantam::collab {
namespace {

constexpr size_t kWidestGap = 3;  // bytes between two words of a phrase

}  // namespace

void Terms::add(std::string_view phrase) {
  std::vector<std::string> words;
  for (Word& word : words_of(fold(phrase).text)) words.push_back(std::move(word.lower));
  if (words.empty()) return;
  auto& list = by_first_[words.front()];
  list.push_back(std::move(words));
  std::stable_sort(list.begin(), list.end(), [](auto& a, auto& b) { return a.size() > b.size(); });
}

void Terms::find(std::string_view text, const Type& type, Spans& out) const {
  if (empty()) return;
  const std::vector<Word> words = words_of(text);
  for (size_t i = 0; i < words.size(); ++i) {
    auto found = by_first_.find(words[i].lower);
    if (found == by_first_.end()) continue;
    for (const auto& phrase : found->second) {
      if (i + phrase.size() > words.size()) continue;
      bool same = true;
      for (size_t k = 1; k < phrase.size() && same; ++k) {
        same = words[i + k].lower == phrase[k] && words[i + k].begin - words[i + k - 1].end <= kWidestGap;
      }
      if (!same) continue;
      add_span(out, type, words[i].begin, words[i + phrase.size() - 1].end);
      i += phrase.size() - 1;
      break;  // the longest
    }
  }
}

void find_pattern(std::string_view text, const re2::RE2& pattern, const Type& type, Spans& out) {
  re2::StringPiece all(text.data(), text.size());
  re2::StringPiece match[2];
  int groups = std::min(pattern.NumberOfCapturingGroups(), 1) + 1;
  for (size_t from = 0; from <= text.size();) {
    if (!pattern.Match(all, from, text.size(), re2::RE2::UNANCHORED, match, groups)) return;
    const re2::StringPiece& part = groups > 1 && match[1].data() ? match[1] : match[0];
    size_t begin = static_cast<size_t>(part.data() - text.data());
    add_span(out, type, begin, begin + part.size());
    // After the part, not after the match: what follows the part may be the beginning of the next match.
    size_t end = std::max<size_t>(begin + part.size(), static_cast<size_t>(match[0].data() - text.data()));
    from = end > from ? end : from + 1;
    while (from < text.size() && continues_character(text[from])) ++from;
  }
}

std::vector<std::string> email_patterns() {
  const char* label = R"([\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?)";
  const char* at = R"((?:@|%40|&#0*64;|&#x0*40;|&commat;|[ ]?[(\[{][ ]?(?:at|AT|@)[ ]?[)\]}][ ]?))";
  const char* dot = R"((?:\.|[ ]?[(\[{][ ]?(?:dot|DOT|punkt|\.)[ ]?[)\]}][ ]?))";
  return {
      // RFC 5322's dot-atom, wider; with the ways in which addresses are written to hide them.
      fmt::format(R"([\p{{L}}\p{{N}}.!#$%&'*+/=?^_`{{|}}~-]+{0}{1}(?:{2}{1})*)", at, label, dot),
      fmt::format(R"("[^"\n]+"@{0}(?:\.{0})*)", label),
      R"([\p{L}\p{N}._%+-]+@\[[0-9A-Fa-f:.IPv]{3,64}\])",
      // "name at example dot com", in words
      fmt::format(R"((?i)[\p{{L}}\p{{N}}._+-]+ at {0}(?: dot {0})+\b)", label),
  };
}

std::vector<std::string> address_patterns() {
  const std::string start = R"((?:^|[^\p{L}\p{N}]))";
  const std::string cap = R"(\p{Lu}[\p{L}'.-]*)";
  const std::string city = fmt::format(R"({0}(?:[ ]{0}){{0,2}})", cap);
  const std::string uk_code = R"([A-Z]{1,2}[0-9][A-Z0-9]?[ ]?[0-9][A-Z]{2}\b)";
  const std::string en_tail = fmt::format(
      R"((?:,?\s+(?i:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|#)\.?[ ]?[\p{{L}}0-9-]+)?)"
      R"((?:,\s*{})?(?:,?\s+{}|(?:,?\s+[A-Z]{{2}},?)?\s+[0-9]{{5}}(?:-[0-9]{{4}})?\b)?)",
      city, uk_code);
  const std::string street =
      R"((?:Street|St|Road|Rd|Avenue|Ave|Av|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct|Place|Pl|Square|Sq)"
      R"(|Terrace|Close|Crescent|Cres|Parkway|Pkwy|Highway|Hwy|Circle|Cir|Gardens|Grove|Row|Mews|Quay|Trail)"
      R"(|Hill|Walk|Loop|Alley|Plaza|Broadway)\b\.?)";
  const std::string zip_city = fmt::format(R"((?:,?\s+(?:[A-Z]{{1,2}}-)?[0-9]{{4,5}}[ ]{})?)", city);
  return {
      fmt::format(R"({}([0-9]{{1,6}}[A-Za-z]?(?:[-/][0-9]{{1,4}})?,?[ ](?:[NSEW]\.?[ ])?)"
                  R"((?:(?:{}|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{}{}))",
                  start, cap, street, en_tail),
      fmt::format(R"({}([\p{{L}}.-]*(?i:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|chaussee|steig)"
                  R"(|markt)[ ][0-9]{{1,4}}[ ]?[a-zA-Z]?\b{}))",
                  start, zip_city),
      fmt::format(
          R"({}((?:[\p{{L}}.-]+[ ](?:Straße|Strasse|Weg|Platz|Allee|Gasse)|(?:Am|An der|Im|In der|Auf der)"
          R"(|Unter den|Zum|Zur)[ ]{}(?:[ ]{})?)[ ][0-9]{{1,4}}[a-z]?\b{}))",
          start, cap, cap, zip_city),
      fmt::format(
          R"({0}((?i:[0-9]{{1,4}}(?:[ ]?(?:bis|ter))?,?[ ](?:rue|avenue|boulevard|place|chemin|allée|impasse)"
          R"(|quai|cours|route)[ ](?:(?:de|du|des|la|le|les|l'|d')[ ]?)*){1}(?:[ -]{1}){{0,3}}{2}))",
          start, cap, zip_city),
      fmt::format(R"({0}((?i:calle|avenida|paseo|plaza|via|viale|piazza|corso|rua|ulica|ul\.)[ ])"
                  R"((?:(?:de|del|della|dei|di|da|do|dos|las|los|la|el)[ ])*{1}(?:[ ]{1}){{0,3}},?[ ])"
                  R"((?:(?i:n[º°.o]\.?)[ ]?)?[0-9]{{1,4}}\b{2}))",
                  start, cap, zip_city),
      fmt::format(R"((?i){}((?:p\.?[ ]?o\.?[ ]?box|postfach|apartado|boîte postale)[ ]+[0-9]{{1,8}})\b)",
                  start),
      fmt::format(R"({}({}))", start, uk_code),
  };
}

}  // namespace bantam::collab
