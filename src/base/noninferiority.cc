// noninferiority_p of base/statistics.h.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/statistics.h"

namespace bantam {
namespace {

/// Tango's score statistic for P(loss) - P(gain) = margin: negative when fewer net losses were seen than the
/// margin allows.
double score(double losses, double gains, double n, double margin) {
  // The likelihood's maximum under the hypothesis: P(gain) = q, P(loss) = q + margin, the larger root of
  // 2n q^2 - b q - gains * margin * (1 - margin) = 0.
  const double b = (losses + gains) * (1 - margin) - 2 * margin * (n - losses);
  const double root = std::sqrt(b * b + 8 * n * gains * margin * (1 - margin));
  // For b < 0 the sum b + root cancels: multiply through by root - b.
  const double q = b >= 0 ? (b + root) / (4 * n) : 2 * gains * margin * (1 - margin) / (root - b);
  const double variance = n * (2 * q + margin - margin * margin);
  return (losses - gains - n * margin) / std::sqrt(variance);
}

/// For each number of gains the largest number of losses whose score is at most `limit`; -1 for none. The
/// score rises with losses and falls with gains, so the boundary only moves up.
std::vector<int64_t> region(uint64_t n, uint64_t most_gains, double margin, double limit) {
  std::vector<int64_t> most(most_gains + 1);
  int64_t losses = -1;
  const double slack =
      1e-9 * (1 + std::abs(limit));  // an outcome equal to the observed one belongs to the region
  for (uint64_t gains = 0; gains <= most_gains; ++gains) {
    losses = std::min(losses, static_cast<int64_t>(n - gains));
    while (losses + 1 <= static_cast<int64_t>(n - gains) &&
           score(static_cast<double>(losses + 1), static_cast<double>(gains), static_cast<double>(n),
                 margin) <= limit + slack) {
      ++losses;
    }
    most[gains] = losses;
  }
  return most;
}

/// P(X <= k) for X binomial: a plain sum where its first term does not underflow (k is small here, and this
/// is the inner loop).
double cdf(uint64_t k, uint64_t n, double p) {
  const double log_first = static_cast<double>(n) * std::log1p(-p);
  if (k >= n || p >= 1 || log_first < -600) return binomial_cdf(k, n, p);
  const double odds = p / (1 - p);
  double term = std::exp(log_first), sum = term;
  for (uint64_t i = 1; i <= k; ++i) {
    term *= odds * static_cast<double>(n - i + 1) / static_cast<double>(i);
    sum += term;
  }
  return std::min(1.0, sum);
}

double log_binomial(double n, double k) {
  int sign = 0;
  return ::lgamma_r(n + 1, &sign) - ::lgamma_r(k + 1, &sign) - ::lgamma_r(n - k + 1, &sign);
}

/// P(losses <= most[gains]) when (losses, gains) are trinomial with n trials; what lies beyond most's end
/// counts as inside.
double region_probability(const std::vector<int64_t>& most, uint64_t n, double p_loss, double p_gain) {
  const double trials = static_cast<double>(n);
  const double p = std::min(1.0, p_loss / (1 - p_gain));  // P(loss | no gain)
  double inside = 0, seen = 0;
  for (uint64_t gains = 0; gains < most.size(); ++gains) {
    const double g = static_cast<double>(gains);
    const double log_p =
        log_binomial(trials, g) + (gains > 0 ? g * std::log(p_gain) : 0) + (trials - g) * std::log1p(-p_gain);
    const double gains_p = std::exp(log_p);
    if (gains_p < 1e-15) continue;
    seen += gains_p;
    if (most[gains] >= 0) inside += gains_p * cdf(static_cast<uint64_t>(most[gains]), n - gains, p);
    if (p_gain == 0) break;
  }
  return std::min(1.0, inside + std::max(0.0, 1 - seen));
}

}  // namespace

double noninferiority_p(uint64_t losses, uint64_t gains, uint64_t n, double margin) {
  if (n == 0 || losses + gains > n || !(margin > 0) || !(margin < 1)) return 1;
  const double limit =
      score(static_cast<double>(losses), static_cast<double>(gains), static_cast<double>(n), margin);
  if (limit >= 0) return 1;  // not even the estimate is below the margin
  const double largest = std::min(binomial_upper(gains, n, kNuisanceError), (1 - margin) / 2);
  // Numbers of gains that the largest probability makes likelier than about 1e-12 (a Chernoff bound).
  const double mean = largest * static_cast<double>(n);
  const auto most_gains = std::min(n, static_cast<uint64_t>(mean + std::sqrt(60 * mean) + 30));
  const auto most = region(n, most_gains, margin, limit);
  // The probability as a function of P(gain) is smooth and nearly flat, because the statistic is studentised:
  // a grid finds its maximum to about 1e-4.
  constexpr int kGrid = 16;
  double worst = 0;
  for (int i = 0; i <= kGrid; ++i) {
    const double p_gain = largest * i / kGrid;
    worst = std::max(worst, region_probability(most, n, p_gain + margin, p_gain));
  }
  return std::min(1.0, worst + kNuisanceError);
}

}  // namespace bantam
