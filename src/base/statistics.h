#pragma once
// Interval estimates for shares of right answers, and how far stated confidences can be believed.

#include <cstdint>
#include <span>
#include <vector>

namespace bantam {

struct Interval {
  double low = 0, high = 0;
};

/// P(X <= k) for X binomial with n trials of probability p; exact to rounding. p is clamped to [0, 1]; 1 for
/// k >= n.
double binomial_cdf(uint64_t k, uint64_t n, double p);
/// The regularised incomplete beta function I_x(a, b), a > 0, b > 0, x in [0, 1]; NaN outside. Relative error
/// about 1e-13. Source: continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions.
double incomplete_beta(double a, double b, double x);
/// The standard normal's quantile, p in (0, 1); by bisection of erfc, to the last bits.
double normal_quantile(double p);

/// Wilson score interval of k successes in n trials (Wilson 1927). [0, 1] for n = 0.
Interval wilson(uint64_t k, uint64_t n, double confidence = 0.95);
/// Clopper-Pearson exact interval. [0, 1] for n = 0.
Interval clopper_pearson(uint64_t k, uint64_t n, double confidence = 0.95);
/// One-sided exact bounds: the share lies above `binomial_lower` (below `binomial_upper`) but for a
/// probability of at most `error`.
double binomial_lower(uint64_t k, uint64_t n, double error);
double binomial_upper(uint64_t k, uint64_t n, double error);

/// Expected calibration error with equal-width bins (Guo et al. 2017): the mean over examples of |share right
/// - mean confidence| of the example's bin. confidence in [0, 1], correct 0 or 1, equal length; 0 for no
/// examples.
double expected_calibration_error(std::span<const double> confidence, std::span<const uint8_t> correct,
                                  int bins = 15);

/// One bin of a reliability diagram; mean confidence and accuracy are 0 where count is.
struct ReliabilityBin {
  double low = 0, high = 0;
  uint64_t count = 0;
  double confidence = 0, accuracy = 0;
};
std::vector<ReliabilityBin> reliability(std::span<const double> confidence, std::span<const uint8_t> correct,
                                        int bins = 15);

/// Whether an answer mix loses too much against a reference, on paired examples. Of n examples `losses` were
/// right only in the reference and `gains` only in the mix; the null hypothesis is P(loss) - P(gain) >=
/// margin (0 < margin < 1). Returns a p-value: small means that the mix loses less than the margin. It is
/// exact at every n: the score statistic of Tango (1998) orders the outcomes, and the probability is
/// maximised over the unknown P(gain) within a confidence bound of error `kNuisanceError`, which is added to
/// the p-value (Berger and Boos 1994). Smallest value for n examples: (1 - margin)^n + kNuisanceError.
double noninferiority_p(uint64_t losses, uint64_t gains, uint64_t n, double margin);
inline constexpr double kNuisanceError = 0.001;

}  // namespace bantam
