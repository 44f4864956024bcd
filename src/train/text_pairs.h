#pragma once
// Pairs of texts that belong together, drawn from a token store. No Torch in this header. Private to train/.

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"
#include "train/token_store.h"

namespace bantam::train {

struct TextPair {
  std::vector<text::TokenId> first, second;  // without BOS; neither is empty
};

/// Immutable; safe to use from many threads.
class TextPairs {
 public:
  /// `weights` by part. Texts are cut at sentences' ends: a token that ends with '.', '?', '!' or a line
  /// break, before one that begins with a space or a line break. Errors: kInvalidArgument for a store whose
  /// training documents have no two sentences in a row.
  static Result<TextPairs> create(const TokenStore& store, std::span<const double> weights,
                                  const text::Tokenizer& tokenizer, uint32_t max_tokens);
  /// A pair of a training document: what `rng` draws.
  TextPair draw(Rng& rng) const;
  /// The same of a held-back document of `part`; none where the part has none.
  bool draw_held_back(uint32_t part, Rng& rng, TextPair& out) const;

 private:
  struct Pool {
    std::vector<uint32_t> documents;
    std::vector<double> sums;  // running, of weight times tokens
  };
  TextPairs(const TokenStore& store, uint32_t max_tokens) : store_(&store), max_tokens_(max_tokens) {}
  static void add(Pool& pool, uint32_t document, double weight);
  bool pair_in(std::span<const uint16_t> tokens, Rng& rng, TextPair& out) const;
  bool draw_from(const Pool& pool, Rng& rng, TextPair& out) const;
  std::vector<size_t> ends_around(std::span<const uint16_t> tokens, size_t at) const;

  const TokenStore* store_;
  uint32_t max_tokens_;
  std::vector<uint8_t> ends_, begins_, line_ends_;  // by token
  Pool training_;
  std::vector<Pool> held_;  // by part
};

}  // namespace bantam::train
