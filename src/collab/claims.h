#pragma once
// An answer taken apart into what it claims, and put together again without the claims that nothing supports.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bantam::collab {

enum class ClaimSplit {
  kSentences,  // sentences of prose; each line is at least one
  kLines,      // each line
  kWords,      // each run without white space, for answers such as "name=Kim guests=4"
};

/// The bytes [begin, end) of a text, without white space at either end.
struct Claim {
  size_t begin = 0, end = 0;
  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

/// The claims of a text in order. Questions, headings ("# …"), fences and parts without a letter or digit
/// claim nothing. A full stop after a single letter, an abbreviation of a short list ("Dr.", "e.g.", …) or
/// before a small letter ends no sentence.
std::vector<Claim> claims_of(std::string_view text, ClaimSplit split);

enum class Unsupported {
  kMark,    // the mark stands behind the claim
  kRemove,  // the claim is left out
};

/// The text with those of its claims changed that `supported` (one entry each) denies. Where nothing is left
/// of a line, the line goes too.
std::string without_unsupported(std::string_view text, std::span<const Claim> claims,
                                std::span<const bool> supported, Unsupported what, std::string_view mark);

/// How far a source carries a claim by its words alone: the share of its words (normal_words, words of one or
/// two letters apart) that the source has; 0 when the source lacks one of its numbers. 1 for a claim without
/// words. It knows neither negation nor synonyms.
double lexical_support(std::string_view claim, std::string_view source);

}  // namespace bantam::collab
