#pragma once
// What stands before and behind a pipeline's model: normalisers, pre-tokenizers, decoders.
// https://huggingface.co/docs/tokenizers/components

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::text {

/// Changes a text in place. Safe to call from many threads, as are the two below.
using Normalizer = std::function<Status(std::string& text)>;

/// Parts of a text that the model may not join.
struct PreTokens {
  std::vector<std::string> words;
  bool first = true;  // the text begins the input (nothing, not even a special token, stands before it)
};
using PreTokenizer = std::function<Status(PreTokens& text)>;

/// Changes the list of tokens into one of texts whose concatenation is the decoded text.
using Decoder = std::function<void(std::vector<std::string>& tokens)>;

/// What happens to a text that a pattern matches, as tokenizer.json names it.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Cuts `word` where `is_match(part)` says so. `parts` are consecutive, with whether each is a match.
void apply_split(const std::vector<std::pair<std::string_view, bool>>& parts, SplitBehavior behavior,
                 std::vector<std::string>& out);

std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// BERT's normaliser (Devlin et al. 2018, tokenization.py).
struct BertNormalizerOptions {
  bool clean_text = true, chinese_characters = true, strip_accents = true, lower_case = true;
};
void bert_normalize(std::string& text, const BertNormalizerOptions& options);
/// Words between white space, punctuation marks on their own.
void bert_split(std::string_view text, std::vector<std::string>& out);

/// Metaspace: spaces become `mark`, one is put before the text where `prepend` says so, and (with `split`) a
/// word begins at each.
struct MetaspaceOptions {
  std::string mark = "\xE2\x96\x81";
  enum class Prepend { kAlways, kFirst, kNever } prepend = Prepend::kAlways;
  bool split = true;
};
void metaspace(PreTokens& text, const MetaspaceOptions& options);

/// "Hello , do n't" without the spaces that word pieces leave behind.
std::string clean_up(std::string_view text);
/// Runs of byte tokens as their bytes; one that is no UTF-8 as U+FFFD for each byte.
void byte_fallback(std::vector<std::string>& tokens);

}  // namespace bantam::text
