#pragma once
// A threshold with a guarantee on the answers that stay local: of those, at most a stated share is wrong.

#include <cstdint>
#include <span>

#include "base/result.h"
#include "model/certificate.h"

namespace bantam::compress {

/// An answer of the SLM: how sure it was, in [0, 1], and whether it was wrong (or unlike the LLM's).
struct Judged {
  double confidence = 0;
  bool wrong = false;
};

struct CertifyOptions {
  double error = 0.01;       // at most this share of the answers kept may be wrong
  double confidence = 0.95;  // probability, over the draw of the examples, that this is so
};

/// The fewest kept answers that can show it, all of them right: the least n with (1 - error)^n <= 1 -
/// confidence. 299 for 1 % at 95 %.
uint64_t fewest_to_certify(const CertifyOptions& options);

/// The loosest threshold t for which P(wrong | confidence >= t) <= error is shown on `test`:
/// - `fit` gives the thresholds (its quantiles: up to 200 shares kept, and all) and the one to begin with,
/// where
///   passing is likeliest by its own errors; so the sequence is fixed before `test` is looked at;
/// - from there on looser and looser thresholds are tested, each at the whole 1 - confidence, until the first
///   fails: k errors in n kept answers pass when P(Binomial(n, error) <= k) <= 1 - confidence, which is when
///   their upper Clopper-Pearson bound is at most `error` (fixed-sequence testing; Angelopoulos et al. 2021,
///   "Learn then Test").
/// On fresh data of the same distribution the promise is broken with a probability of at most 1 - confidence.
/// It needs `fit` and `test` independent of each other and of what the SLM was made from. The certificate's
/// counts are of `test`; its drift edges are quantiles of `fit`. Errors: kInvalidArgument for options outside
/// (0, 1), a confidence outside [0, 1], no examples; too few examples (with the number needed), and an SLM
/// whose surest answers are wrong too often (with the counts).
Result<model::Certificate> certify(std::span<const Judged> fit, std::span<const Judged> test,
                                   const CertifyOptions& options = {});

}  // namespace bantam::compress
