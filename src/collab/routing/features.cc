#include "collab/routing/features.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/utf8.h"

namespace bantam::collab::routing {
namespace {

constexpr uint32_t kPrime = 16777619u, kBasis = 2166136261u;  // FNV-1a, 32 bits

uint32_t step(uint32_t hash, unsigned char byte) { return (hash ^ byte) * kPrime; }

/// Spreads FNV's weak low bits, since buckets are taken from them (MurmurHash3's finaliser).
uint32_t finish(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

unsigned char lower_letter(unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_word(unsigned char c) {
  c = lower_letter(c);
  return (c >= 'a' && c <= 'z') || is_digit(c) || c >= 0x80;
}

void tally(std::vector<uint32_t>& hashes, std::vector<Hit>& out) {
  std::sort(hashes.begin(), hashes.end());
  for (uint32_t hash : hashes) {
    if (out.empty() || out.back().hash != hash) out.push_back({hash, 0});
    out.back().count += 1;
  }
}

void letters_of(std::string_view word, std::vector<uint32_t>& out) {
  const auto at = [&](size_t i) -> unsigned char {
    return i == 0 || i == word.size() + 1 ? ' ' : lower_letter(static_cast<unsigned char>(word[i - 1]));
  };
  const size_t n = word.size() + 2;
  for (size_t first = 0; first + 3 <= n; ++first) {
    uint32_t hash = kBasis ^ 0x5bd1e995u;
    for (size_t length = 1; length <= 5 && first + length <= n; ++length) {
      hash = step(hash, at(first + length - 1));
      if (length >= 3) out.push_back(finish(hash));
    }
  }
}

struct Counts {
  double words = 0, letters = 0, digits = 0, capitals = 0, spaces = 0, lines = 0, punctuation = 0,
         numbers = 0;
  double word_bytes = 0, largest = 0, longest_word = 0, foreign = 0, questions = 0, sentences = 0;
  double operators = 0, brackets = 0, semicolons = 0, backslashes = 0, quotes = 0, commas = 0, options = 0;
  double fences = 0, percents = 0, money = 0, decimals = 0;
};

void count_byte(std::string_view text, size_t i, Counts& c) {
  const auto b = static_cast<unsigned char>(text[i]);
  if (b >= 0x80) return void(++c.foreign);
  if (is_digit(b)) return void(++c.digits);
  if (lower_letter(b) != b) ++c.capitals;
  if (lower_letter(b) >= 'a' && lower_letter(b) <= 'z') return void(++c.letters);
  if (b == '\n') ++c.lines;
  if (b <= ' ') return void(++c.spaces);
  ++c.punctuation;
  const bool ends = i + 1 == text.size() || static_cast<unsigned char>(text[i + 1]) <= ' ';
  switch (b) {
    case '?':
      ++c.questions;
      ++c.sentences;
      break;
    case '.':
      c.sentences += ends;
      c.decimals += !ends && i > 0 && is_digit(text[i - 1]) && is_digit(text[i + 1]);
      // "A. " at the start of a line: an option to choose from
      c.options +=
          ends && i > 0 && text[i - 1] >= 'A' && text[i - 1] <= 'J' && (i == 1 || text[i - 2] == '\n');
      break;
    case '!':
      ++c.sentences;
      break;
    case '+':
    case '*':
    case '/':
    case '=':
    case '<':
    case '>':
    case '^':
    case '|':
      ++c.operators;
      break;
    case '(':
    case '[':
    case '{':
      ++c.brackets;
      break;
    case ';':
      ++c.semicolons;
      break;
    case '\\':
      ++c.backslashes;
      break;
    case '"':
    case '\'':
      ++c.quotes;
      break;
    case ',':
      ++c.commas;
      break;
    case '`':
      c.fences += text.substr(i, 3) == "```";
      break;
    case '%':
      ++c.percents;
      break;
    case '$':
      ++c.money;
      break;
    default:
      break;
  }
}

void count_word(std::string_view word, Counts& c) {
  ++c.words;
  c.word_bytes += static_cast<double>(word.size());
  c.longest_word = std::max(c.longest_word, static_cast<double>(word.size()));
  if (!is_digit(static_cast<unsigned char>(word[0]))) return;
  ++c.numbers;
  double value = 0;
  for (char ch : word) value = is_digit(static_cast<unsigned char>(ch)) ? value * 10 + (ch - '0') : value;
  c.largest = std::max(c.largest, value);
}

/// Logarithms of counts and shares of the length, so that a linear model can use them.
std::array<float, kLexical> lexical(const Query& query, const Counts& c, double distinct) {
  const double bytes = static_cast<double>(std::max<size_t>(query.text.size(), 1));
  const double words = std::max(c.words, 1.0);
  const auto log1 = [](double x) { return std::log1p(std::min(x, 1e12)); };
  const double values[kLexical] = {
      log1(bytes),
      log1(c.words),
      log1(c.words) * log1(c.words) / 10,
      c.word_bytes / words,
      c.longest_word / 10,
      distinct / words,
      100 * c.digits / bytes,
      log1(c.numbers),
      100 * c.numbers / words / 10,
      log1(c.largest),
      log1(c.decimals),
      log1(c.percents),
      log1(c.money),
      100 * c.capitals / bytes / 10,
      100 * c.punctuation / bytes / 10,
      log1(c.operators),
      log1(c.brackets),
      log1(c.semicolons),
      log1(c.backslashes),
      log1(c.quotes),
      log1(c.commas),
      log1(c.lines),
      log1(c.sentences),
      c.words / std::max(c.sentences, 1.0) / 10,
      log1(c.questions),
      log1(c.options),
      log1(c.fences),
      c.foreign / bytes,
      log1(query.turns),
      log1(query.tools),
      query.schema ? 1.0 : 0.0,
      log1(query.max_tokens) + log1(static_cast<double>(query.system.size())) / 4};
  std::array<float, kLexical> out{};
  std::copy(std::begin(values), std::end(values), out.begin());
  return out;
}

}  // namespace

Features extract(const Query& query) {
  Features out;
  Counts counts;
  const std::string_view text = query.text;
  std::vector<uint32_t> words, letters;
  words.reserve(text.size() / 2);
  letters.reserve(text.size() * 3);
  uint32_t before = kBasis;
  for (size_t i = 0; i < text.size();) {
    if (!is_word(static_cast<unsigned char>(text[i]))) {
      count_byte(text, i++, counts);
      continue;
    }
    const size_t first = i;
    uint32_t hash = kBasis;
    for (; i < text.size() && is_word(static_cast<unsigned char>(text[i])); ++i) {
      hash = step(hash, lower_letter(static_cast<unsigned char>(text[i])));
      count_byte(text, i, counts);
    }
    const auto word = text.substr(first, i - first);
    words.push_back(finish(hash));
    words.push_back(finish(step(before, ' ') * kPrime ^ hash));
    before = hash;
    letters_of(word, letters);
    count_word(word, counts);
  }
  tally(words, out.words);
  tally(letters, out.letters);
  out.lexical = lexical(query, counts, static_cast<double>(out.words.size()) / 2);
  return out;
}

}  // namespace bantam::collab::routing
