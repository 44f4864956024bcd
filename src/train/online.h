#pragma once
// How well a language model predicts a text that it learns from while it reads. No Torch in this header.
//
// Compressors such as PPM begin with nothing and adapt to the text; a trained model knows its language and is
// usually not changed by what it reads. Dynamic evaluation (Krause et al. 2018) lets it adapt too: each token
// is scored by weights that have learned from the tokens before it and from none after.

#include <string>
#include <string_view>

#include "base/result.h"
#include "train/train.h"

namespace bantam::train {

struct OnlineOptions {
  uint32_t window = 512;  // tokens seen at once
  uint32_t stride = 256;  // tokens scored at a time; one step down the gradient follows
  uint32_t replay =
      1;  // windows of the text so far, drawn at random, that each step learns from beside the last one
  double learning_rate = 1e-3;
  uint64_t seed = 1;
};
/// Errors: kInvalidArgument naming the field, the value and the range.
Status check(const OnlineOptions& options);

struct OnlineScore {
  JobReport job;
  double nll = 0;                // sum of -ln p over the text's tokens
  uint64_t tokens = 0;           // of the text; all are scored
  uint64_t bytes = 0;            // of the text
  double bits_per_byte() const;  // nll / ln 2 / bytes
};

/// Reads `text` with `model` (a GGUF, which stays as it is) from its start token on, each stride of tokens
/// scored before the step that learns from it. Job.out names the checkpoint and the log (OUT.log.jsonl:
/// {"step", "nats", "loss", "tokens", "seconds"}), so that a killed run goes on; no model is written. Errors:
/// those of the file and the options; kInvalidArgument for a text without tokens or a window above the
/// model's context; kCancelled; kInternal for a loss that is not finite.
Result<OnlineScore> score_online(const std::string& model, std::string_view text,
                                 const OnlineOptions& options, const JobOptions& job);

}  // namespace bantam::train
