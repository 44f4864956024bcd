#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

using text::TokenId;

/// Every step is off by default but the last. Order of application, which is llama.cpp's: logit_bias;
/// penalties; DRY; top-n-sigma; top-k; typical; top-p; min-p; XTC; temperature. Temperature 0 takes the
/// likeliest token after bias, penalties and DRY. Mirostat stands in the place of all that comes between DRY
/// and temperature, which it follows.
struct SamplingOptions {
  float temperature = 0.0F;
  float dynatemp_range = 0.0F;  // the temperature moves by this much with the entropy ("dynamic temperature")
  float dynatemp_exponent = 1.0F;
  uint32_t top_k = 0;  // 0: all
  float top_p = 1.0F;
  float min_p = 0.0F;
  float typical_p = 1.0F;        // Meister et al. 2023
  float top_n_sigma = 0.0F;      // 0: off; keeps logits within so many deviations of the largest
  float xtc_probability = 0.0F;  // how often all but the least likely of the tokens above the threshold go
  float xtc_threshold = 0.1F;    // above 0.5: off
  /// Of the last `penalty_last_n` tokens, prompt and answer (-1: of all of them; 0: off).
  int32_t penalty_last_n = 64;
  float repetition_penalty = 1.0F;  // divides positive logits, multiplies negative ones (Keskar et al. 2019)
  float frequency_penalty = 0.0F;   // taken off for each occurrence
  float presence_penalty = 0.0F;    // taken off once
  /// DRY: a token that would continue a repetition of n tokens loses multiplier * base^(n - allowed_length).
  /// No repetition reaches across a breaker.
  float dry_multiplier = 0.0F;
  float dry_base = 1.75F;
  uint32_t dry_allowed_length = 2;
  int32_t dry_last_n = -1;
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
  int mirostat = 0;           // 0: off; version 1 or 2 (Basu et al. 2021)
  float mirostat_tau = 5.0F;  // wanted surprise, in bits
  float mirostat_eta = 0.1F;  // learning rate
  std::vector<std::pair<TokenId, float>> logit_bias = {};
  uint64_t seed = 0;
};
/// Errors: kInvalidArgument naming the field, its value and its range; also for mirostat together with one of
/// the steps whose place it takes.
Status check(const SamplingOptions& options);

/// A token and, before the last step of Sampler::distribution, its logit; after it, its probability.
using Candidate = std::pair<float, TokenId>;

/// A token's log-probability and those of the likeliest tokens of its place, natural logarithms of the
/// softmax of the logits as the model gave them (before bias, penalties, masks and the rest).
struct TokenLogprobs {
  TokenId token = 0;
  double logprob = 0;
  std::vector<std::pair<TokenId, double>> top;  // descending; ties go to the smaller id
};
TokenLogprobs logprobs_of(std::span<const float> logits, TokenId token, size_t top);

/// Draws tokens; equal options, history and logits give equal tokens. Not for use by several threads at once.
class Sampler {
 public:
  /// Borrows `tokenizer`, which DRY's breakers need: without it no token breaks.
  explicit Sampler(SamplingOptions options, const text::Tokenizer* tokenizer = nullptr);

  /// The probabilities that the next token is drawn from, as a set of candidates of sum 1. logits: [V];
  /// `mask`: bit t % 64 of word t / 64 allows token t (none beyond its end); empty allows all. REQUIRES: the
  /// mask allows a token. Valid until the next call.
  std::span<const Candidate> distribution(std::span<const float> logits, std::span<const uint64_t> mask = {});
  /// Draws from the last distribution().
  TokenId draw();
  /// distribution() and draw(). Ties of greedy choice go to the smaller id.
  TokenId sample(std::span<const float> logits, std::span<const uint64_t> mask = {});
  /// Adds a token of the prompt, or one that was chosen, to the history that penalties, DRY and mirostat look
  /// at.
  void accept(TokenId token);
  /// Uniform in [0, 1), from the sampler's own stream.
  double uniform() { return rng_.uniform(); }
  const SamplingOptions& options() const { return options_; }

 private:
  void gather(std::span<const float> logits, std::span<const uint64_t> mask);
  void penalise();
  void penalise_repetitions();
  void truncate();
  double temperature() const;
  float* find(TokenId token);

  SamplingOptions options_;
  const text::Tokenizer* tokenizer_;
  Rng rng_;
  std::vector<Candidate> candidates_;
  std::vector<TokenId> history_;
  std::string tail_;        // the end of the history's text, as long as a breaker may be
  size_t unbroken_ = 0;     // tokens since the last breaker
  bool remembers_ = false;  // some step looks at the history
  double mu_ = 0;           // mirostat's running bound, in bits
  bool chose_ = false;      // candidates_ holds the distribution of the token to be accepted
};

}  // namespace bantam::runtime
