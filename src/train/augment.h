#pragma once
// Variations of a text that keep its meaning well enough for training. Nothing here knows a data set.

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/rng.h"

namespace bantam::train {

/// Probabilities; all 0 leaves texts as they are.
struct AugmentOptions {
  double lower = 0.5;        // a whole text in lower case
  double drop_word = 0.05;   // each word left out (never all of them)
  double swap_words = 0.0;   // each neighbouring pair of words exchanged
  double typo = 0.01;        // each letter dropped, doubled or exchanged with the next
  double bpe_dropout = 0.1;  // merges left out while tokenising (Provilkov et al. 2020)
};
Status check(const AugmentOptions& options);

/// A variation of `text` (UTF-8 in, UTF-8 out: only ASCII letters are edited). bpe_dropout is not its
/// business.
std::string augment(std::string_view text, const AugmentOptions& options, Rng& rng);

}  // namespace bantam::train
