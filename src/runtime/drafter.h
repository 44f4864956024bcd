#pragma once
// Speculative decoding (Leviathan et al. 2023): something cheap proposes tokens, the model checks several at
// once. What is proposed is one sequence and no distribution, so a proposal is kept exactly where the model's
// own sampler draws the same token: the text is the same, token for token, with and without, greedy or
// sampled.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

class Engine;
using text::TokenId;

/// Not for use by several threads at once.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// Puts up to `most` tokens into `out` that may follow `tokens` (prompt and answer so far).
  virtual void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) = 0;
  /// Why it proposes nothing, where something keeps it from working.
  virtual std::string problem() const { return {}; }
};

/// Proposes what followed the last `longest` to 1 tokens when they were there before (Saxena 2023, prompt
/// lookup).
std::unique_ptr<Drafter> make_prompt_lookup(size_t longest = 3);

/// Proposes what a smaller model finds likeliest. Errors: kInvalidArgument where the vocabularies differ (the
/// first token that does); those of Engine::new_session.
Result<std::unique_ptr<Drafter>> make_draft_model(std::shared_ptr<const Engine> draft, const Engine& target);

/// Gives each generation a drafter of its own. Safe to use from many threads.
class DraftSource {
 public:
  virtual ~DraftSource() = default;
  virtual std::shared_ptr<Drafter> drafter() = 0;
};

std::shared_ptr<DraftSource> make_lookup_source(size_t longest = 3);

/// Draft models that share the engine. One takes its session (a KV cache of the draft's whole context) with
/// its first proposal and leaves it for the next generation, so that there are never more than generations at
/// once; without the memory for one it proposes nothing, and problem() says so. Errors: kInvalidArgument as
/// make_draft_model.
Result<std::shared_ptr<DraftSource>> make_draft_source(std::shared_ptr<const Engine> draft,
                                                       const Engine& target);

}  // namespace bantam::runtime
