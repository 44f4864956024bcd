#pragma once
// Whether two answers say the same: the measures that need no model.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::collab {

enum class Measure {
  kEqual,       // the same bytes, but for white space at either end
  kNormalised,  // the same words: Unicode case folding and compatibility forms, no punctuation but inside
                // numbers
  kWords,       // the same numbers, and an F1 of the words above a bound
  kJudge,       // a model is asked (see verify.h); nothing here decides it
};

struct Agreement {
  Measure measure = Measure::kNormalised;
  double bound = 0.8;  // kWords
};

enum class Match { kOpen, kAgree, kDisagree };

/// The words of a text as kNormalised compares them: NFKC and case folding; "_*`" and other punctuation part
/// words, but not inside a number ("3.5", "19:30", "05-03"), and apostrophes vanish ("don't" is one word).
/// Broken UTF-8 is compared as bytes.
std::vector<std::string> normal_words(std::string_view text);

/// F1 of the two multisets of words; 1 for two empty ones.
double word_overlap(std::span<const std::string> a, std::span<const std::string> b);

/// Two answers of which either may still be growing. kDisagree as soon as no continuation could agree
/// (kEqual and kNormalised), kAgree only when both are whole; kOpen for kJudge.
Match compare_texts(const Agreement& agreement, std::string_view a, bool a_whole, std::string_view b,
                    bool b_whole);

/// The same tools in the same order with arguments that are equal as JSON; where one is no JSON, as text.
bool same_calls(std::span<const chat::ToolCall> a, std::span<const chat::ToolCall> b);

}  // namespace bantam::collab
