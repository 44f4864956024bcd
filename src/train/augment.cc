#include "train/augment.h"

#include <utility>
#include <vector>

namespace bantam::train {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (space) {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      words.back().push_back(c);
      in_word = true;
    }
  }
  return words;
}

std::string misspell(std::string_view text, double chance, Rng& rng) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_letter(text[i]) || !rng.chance(chance)) {
      out.push_back(text[i]);
      continue;
    }
    switch (rng.below(3)) {
      case 0:
        break;  // dropped
      case 1:
        out.append(2, text[i]);
        break;
      default:
        if (i + 1 < text.size() && is_letter(text[i + 1])) {
          out.push_back(text[i + 1]);
          out.push_back(text[i]);
          ++i;
        } else {
          out.push_back(text[i]);
        }
    }
  }
  return out;
}

}  // namespace

Status check(const AugmentOptions& options) {
  const std::pair<const char*, double> fields[] = {{"lower", options.lower},
                                                   {"drop_word", options.drop_word},
                                                   {"swap_words", options.swap_words},
                                                   {"typo", options.typo},
                                                   {"bpe_dropout", options.bpe_dropout}};
  for (auto [name, value] : fields) {
    if (!(value >= 0.0 && value <= 1.0)) {
      return fail(Code::kInvalidArgument, "augment.{}: found {}, expected a probability from 0 to 1", name,
                  value);
    }
  }
  return {};
}

std::string augment(std::string_view text, const AugmentOptions& options, Rng& rng) {
  std::string out(text);
  if (options.drop_word > 0 || options.swap_words > 0) {
    std::vector<std::string> words = words_of(text), kept;
    for (auto& word : words) {
      if (!rng.chance(options.drop_word)) kept.push_back(word);
    }
    if (kept.empty()) kept = words;
    for (size_t i = 0; i + 1 < kept.size(); ++i) {
      if (rng.chance(options.swap_words)) std::swap(kept[i], kept[i + 1]);
    }
    out.clear();
    for (const auto& word : kept) out += (out.empty() ? "" : " ") + word;
  }
  if (options.typo > 0) out = misspell(out, options.typo, rng);
  if (rng.chance(options.lower)) {
    for (char& c : out) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return out.empty() ? std::string(text) : out;
}

}  // namespace bantam::train
