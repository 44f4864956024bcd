#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bantam::eval {

struct Interval {
  double low = 0, high = 0;
};
/// Wilson score interval of k successes in n trials (Wilson 1927).
Interval wilson(uint64_t k, uint64_t n, double confidence = 0.95);
/// Clopper-Pearson exact interval.
Interval clopper_pearson(uint64_t k, uint64_t n, double confidence = 0.95);

/// Ratio of two accuracies measured on the same examples, with a percentile bootstrap interval over examples (10,000 resamples,
/// seeded). a, b: 1 for a right answer, 0 for a wrong one; equal length.
struct PairedRatio {
  double ratio = 0;  // accuracy(a) / accuracy(b)
  Interval interval;
  uint64_t n = 0, only_a = 0, only_b = 0;
  double mcnemar_p = 1;  // exact two-sided McNemar test
};
PairedRatio paired_ratio(std::span<const uint8_t> a, std::span<const uint8_t> b, uint64_t seed = 1);

/// Expected calibration error with equal-width bins (Guo et al. 2017).
double expected_calibration_error(std::span<const double> confidence, std::span<const uint8_t> correct, int bins = 15);
/// Linear-interpolated quantile; q in [0, 1]; values need not be sorted; 0 for none.
double quantile(std::vector<double> values, double q);
double macro_f1(std::span<const int32_t> predicted, std::span<const int32_t> gold, size_t labels);

}  // namespace bantam::eval
