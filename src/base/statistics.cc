#include "base/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bantam {
namespace {

/// The continued fraction of I_x(a, b) by Lentz's method; converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMaxTerms = 100000;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1.0;
  double d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
  double h = d;
  for (int m = 1; m <= kMaxTerms; ++m) {
    const double m2 = 2.0 * m;
    const double even = m * (b - m) * x / ((a + m2 - 1.0) * (a + m2));
    d = 1.0 / away_from_zero(1.0 + even * d);
    c = away_from_zero(1.0 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1.0));
    d = 1.0 / away_from_zero(1.0 + odd * d);
    c = away_from_zero(1.0 + odd / c);
    const double factor = d * c;
    h *= factor;
    if (std::abs(factor - 1.0) < 1e-15) break;
  }
  return h;
}

/// lgamma without its global sign variable, so that threads may call it.
double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

/// The x in [low, high] where the increasing predicate `above` turns true, to the last bit.
template <class Predicate>
double bisect(double low, double high, const Predicate& above) {
  for (int i = 0; i < 2000; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (above(middle) ? high : low) = middle;
  }
  return low + (high - low) / 2;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (!(a > 0) || !(b > 0) || !(x >= 0) || !(x <= 1)) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0 || x == 1) return x;
  const double front =
      std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double binomial_cdf(uint64_t k, uint64_t n, double p) {
  if (k >= n || p <= 0) return 1;
  if (p >= 1) return 0;
  return incomplete_beta(static_cast<double>(n - k), static_cast<double>(k) + 1, 1 - p);
}

double normal_quantile(double p) {
  if (!(p > 0) || !(p < 1)) return std::numeric_limits<double>::quiet_NaN();
  return bisect(-40, 40, [p](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)) >= p; });
}

Interval wilson(uint64_t k, uint64_t n, double confidence) {
  if (n == 0) return {0, 1};
  const double z = normal_quantile(1 - (1 - confidence) / 2);
  const double trials = static_cast<double>(n), share = static_cast<double>(k) / trials;
  const double scale = 1 / (1 + z * z / trials);
  const double middle = scale * (share + z * z / (2 * trials));
  const double half = scale * z * std::sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
  // The ends are exact at k = 0 and k = n; rounding would leave 1e-17 there.
  return {k == 0 ? 0.0 : std::max(0.0, middle - half), k == n ? 1.0 : std::min(1.0, middle + half)};
}

double binomial_lower(uint64_t k, uint64_t n, double error) {
  if (k == 0 || n == 0) return 0;
  return bisect(0, 1, [=](double p) { return 1 - binomial_cdf(k - 1, n, p) > error; });
}

double binomial_upper(uint64_t k, uint64_t n, double error) {
  if (k >= n) return 1;
  return bisect(0, 1, [=](double p) { return binomial_cdf(k, n, p) < error; });
}

Interval clopper_pearson(uint64_t k, uint64_t n, double confidence) {
  const double tail = (1 - confidence) / 2;
  return {binomial_lower(k, n, tail), binomial_upper(k, n, tail)};
}

std::vector<ReliabilityBin> reliability(std::span<const double> confidence, std::span<const uint8_t> correct,
                                        int bins) {
  std::vector<ReliabilityBin> result(static_cast<size_t>(std::max(bins, 1)));
  const double width = 1.0 / static_cast<double>(result.size());
  for (size_t b = 0; b < result.size(); ++b) {
    result[b].low = static_cast<double>(b) * width;
    result[b].high = b + 1 == result.size() ? 1.0 : static_cast<double>(b + 1) * width;
  }
  for (size_t i = 0; i < std::min(confidence.size(), correct.size()); ++i) {
    // Bins are open below and closed above, as in the paper; 0 falls into the first.
    const double place = std::ceil(confidence[i] / width) - 1;
    auto& bin = result[static_cast<size_t>(std::clamp(place, 0.0, static_cast<double>(result.size() - 1)))];
    ++bin.count;
    bin.confidence += confidence[i];
    bin.accuracy += correct[i] ? 1 : 0;
  }
  for (auto& bin : result) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return result;
}

double expected_calibration_error(std::span<const double> confidence, std::span<const uint8_t> correct,
                                  int bins) {
  const size_t n = std::min(confidence.size(), correct.size());
  double sum = 0;
  for (const auto& bin : reliability(confidence, correct, bins)) {
    sum += static_cast<double>(bin.count) * std::abs(bin.accuracy - bin.confidence);
  }
  return n == 0 ? 0 : sum / static_cast<double>(n);
}

}  // namespace bantam
