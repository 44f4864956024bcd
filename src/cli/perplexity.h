#pragma once
#include <cstdint>
#include <stop_token>
#include <string_view>

#include "base/progress.h"
#include "base/result.h"
#include "runtime/engine.h"

namespace bantam::cli {

struct PerplexityOptions {
  uint32_t window = 0;  // tokens seen at once; 0: the engine's context, at most 512
  uint32_t stride = 0;  // tokens from one window's start to the next; 0: half a window
  bool halves = false;  // stride = window, only the second half of each whole window scored
};

struct Perplexity {
  double nll = 0;       // sum of -ln p over the scored tokens
  uint64_t scored = 0;  // tokens
  uint64_t bytes = 0;   // that the scored tokens stand for
  uint64_t tokens = 0;  // of the text
  uint32_t window = 0, stride = 0;
  double seconds = 0;

  double perplexity() const;     // exp(nll / scored)
  double bits_per_byte() const;  // nll / ln 2 / bytes
};

/// How well the model predicts `text`. The text is tokenised once, without special tokens. A window is BOS,
/// where the model's metadata asks for it, and the text's next tokens; windows start every `stride` tokens of
/// the text, each token is scored once, in the first window that holds it, given all before it in that
/// window. Without BOS the text's first token is not scored. `halves` repeats what llama.cpp's
/// llama-perplexity computes (tools/perplexity: n_ctx tokens a chunk, the first replaced by BOS, predictions
/// from position n_ctx/2 on, an incomplete last chunk left out), so that the figures can be compared. Errors:
/// kInvalidArgument for a text shorter than two tokens (or, with halves, than one window), a window above the
/// context or below 4, a stride of more than the window; kCancelled.
Result<Perplexity> perplexity(const runtime::Engine& engine, std::string_view text,
                              const PerplexityOptions& options, const ProgressSink& progress,
                              std::stop_token cancel);

}  // namespace bantam::cli
