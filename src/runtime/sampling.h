#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

using text::TokenId;

/// Order of application: temperature 0 is greedy; else top-k, top-p, min-p on the untempered distribution,
/// then temperature (llama.cpp's order: top_k, top_p, min_p, temperature).
struct SamplingOptions {
  float temperature = 0.0F;
  uint32_t top_k = 0;  // 0: all
  float top_p = 1.0F;
  float min_p = 0.0F;
  uint64_t seed = 0;
};
/// Errors: kInvalidArgument naming the field, its value and its range.
Status check(const SamplingOptions& options);

/// Draws tokens; equal options and logits give equal tokens. Not for use by several threads at once.
class Sampler {
 public:
  explicit Sampler(SamplingOptions options);
  /// logits: [V]. Ties go to the smaller id.
  TokenId sample(std::span<const float> logits);

 private:
  SamplingOptions options_;
  Rng rng_;
  std::vector<std::pair<float, TokenId>> scratch_;
};

}  // namespace bantam::runtime
