#pragma once
// Byte-level BPE (GPT-2's, Radford et al. 2019): encoder with optional BPE-dropout, and its training on a
// task's text.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "text/tokenizer.h"

namespace bantam::text {

class BpeTokenizer : public Tokenizer {
 public:
  /// encode_segments() without BOS and EOS in which each merge is left out with probability `dropout`
  /// (BPE-dropout, Provilkov et al. 2020); `rng` decides. dropout = 0 equals encode_segments().
  virtual Result<std::vector<TokenId>> encode_with_dropout(std::span<const Segment> segments, double dropout,
                                                           Rng& rng) const = 0;
};

struct BpeTrainOptions {
  size_t vocab_size =
      4096;  // all tokens: 256 bytes, merges, control and whole tokens; fewer when text runs out
  std::vector<std::string> control;  // control tokens; [0] is BOS and EOS, as in "<|endoftext|>"
  std::vector<std::string>
      whole;  // tokens that no text merges to (a task's labels); each decodes to its text
  size_t min_frequency = 2;
};

/// Learns merges by frequency (ties by the smaller pair, so that equal input gives an equal tokenizer);
/// splitter "gpt-2". No merge may produce a text of `whole`. Ids: control tokens first, then the 256 bytes,
/// merges, whole tokens last. Errors: kInvalidArgument for no text, a vocabulary below 256 + control + whole,
/// a repeated or empty name, or a whole token of one byte (bytes are tokens already).
Result<std::unique_ptr<BpeTokenizer>> train_bpe(std::span<const std::string> texts,
                                                const BpeTrainOptions& options);

/// `base` and, behind its ids, one more token for each text of `whole` that it does not spell as one token
/// already; no text merges to them. Errors: kUnsupported for another kind of tokenizer, kInvalidArgument for
/// an empty text.
Result<std::unique_ptr<BpeTokenizer>> with_whole_tokens(const BpeTokenizer& base,
                                                        std::span<const std::string> whole);

}  // namespace bantam::text
