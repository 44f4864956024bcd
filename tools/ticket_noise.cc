#include "ticket_noise.h"

#include <array>
#include <cctype>
#include <string_view>
#include <vector>

namespace bantam::tools {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

// The keys beside each letter on a QWERTY keyboard, from 'a' to 'z'.
constexpr std::array<std::string_view, 26> kNeighbours = {
    "qwsz",   "vghn",  "xdfv", "serfcx", "wsdr", "drtgvc", "ftyhbv", "gyujnb", "ujko",
    "huikmn", "jiolm", "kop",  "njk",    "bhjm", "iklp",   "ol",     "wa",     "edft",
    "awedxz", "rfgy",  "yhji", "cfgb",   "qase", "zsdc",   "tghu",   "asx"};

struct Word {
  size_t begin, end;
};

// Maximal runs of letters and apostrophes.
std::vector<Word> find_words(std::string_view text) {
  std::vector<Word> words;
  for (size_t i = 0; i < text.size();) {
    if (!is_letter(text[i])) {
      ++i;
      continue;
    }
    size_t begin = i;
    while (i < text.size() && (is_letter(text[i]) || text[i] == '\'')) ++i;
    words.push_back({begin, i});
  }
  return words;
}

std::string slip(std::string word, Rng& rng) {
  size_t at = 1 + rng.below(word.size() - 2);
  if (!is_letter(word[at]) || !is_letter(word[at + 1])) return word;
  switch (rng.below(4)) {
    case 0:
      word.erase(at, 1);
      break;
    case 1:
      std::swap(word[at], word[at + 1]);
      break;
    case 2:
      word.insert(at, 1, word[at]);
      break;
    default: {
      std::string_view near = kNeighbours[static_cast<size_t>(lower(word[at]) - 'a')];
      word[at] = near[rng.below(near.size())];
    }
  }
  return word;
}

void add_typos(std::string& text, const Grammar& grammar, Rng& rng) {
  size_t count = 1 + rng.below(2);
  for (size_t n = 0; n < count; ++n) {
    std::vector<Word> candidates;
    for (Word word : find_words(text)) {
      if (word.end - word.begin < 5) continue;
      if (grammar.keep.contains(lower(text.substr(word.begin, word.end - word.begin)))) continue;
      candidates.push_back(word);
    }
    if (candidates.empty()) return;
    Word word = candidates[rng.below(candidates.size())];
    size_t length = word.end - word.begin;
    text.replace(word.begin, length, slip(text.substr(word.begin, length), rng));
  }
}

void abbreviate(std::string& text, const Grammar& grammar, Rng& rng) {
  constexpr double kEach = 0.7;
  std::vector<Word> words = find_words(text);
  for (size_t i = words.size(); i-- > 0;) {  // from the end, so that positions stay valid
    size_t length = words[i].end - words[i].begin;
    auto found = grammar.abbreviations.find(lower(text.substr(words[i].begin, length)));
    if (found == grammar.abbreviations.end() || !rng.chance(kEach)) continue;
    text.replace(words[i].begin, length, found->second[rng.below(found->second.size())]);
  }
}

// Sentences joined by a comma, a dash or dots, the next one without its capital.
void run_on(std::string& text, Rng& rng) {
  static constexpr std::array<std::string_view, 4> kJoints = {", ", " - ", "... ", ","};
  std::string_view joint = kJoints[rng.below(kJoints.size())];
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '.' || i + 2 >= text.size() || text[i + 1] != ' ' || !is_letter(text[i + 2])) {
      out += text[i];
      continue;
    }
    out += joint;
    bool pronoun = text[i + 2] == 'I' && !(i + 3 < text.size() && is_letter(text[i + 3]));
    out += pronoun ? 'I' : lower(text[i + 2]);
    i += 2;
  }
  text = std::move(out);
}

}  // namespace

std::string add_noise(const std::string& clean, const Grammar& grammar, Rng& rng) {
  const Settings& settings = grammar.settings;
  std::string text = clean;
  if (rng.chance(settings.abbreviate)) abbreviate(text, grammar, rng);
  if (rng.chance(settings.typo)) add_typos(text, grammar, rng);
  if (rng.chance(settings.run_on)) run_on(text, rng);
  if (rng.chance(settings.apostrophe)) std::erase(text, '\'');
  if (rng.chance(settings.bare)) {
    std::erase(text, ',');
    if (text.ends_with('.')) text.pop_back();
  }
  if (rng.chance(settings.lower)) {
    text = lower(text);
  } else if (rng.chance(settings.upper)) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string normal_form(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_letter(c) || std::isdigit(static_cast<unsigned char>(c))) {
      out += lower(c);
    } else if (c != '\'' && !out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace bantam::tools
