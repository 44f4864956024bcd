#pragma once
// What a report says about predictions. The interval estimates themselves lie in base, since calibration
// needs them too.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/statistics.h"

namespace bantam::eval {

using bantam::clopper_pearson;
using bantam::expected_calibration_error;
using bantam::Interval;
using bantam::wilson;

/// Ratio of two accuracies measured on the same examples, with a percentile bootstrap interval over examples
/// (10,000 resamples, seeded). a, b: 1 for a right answer, 0 for a wrong one; equal length.
struct PairedRatio {
  double ratio = 0;  // accuracy(a) / accuracy(b); 0 where b is never right
  Interval interval;
  uint64_t n = 0, only_a = 0, only_b = 0;
  double mcnemar_p = 1;  // exact two-sided McNemar test
};
PairedRatio paired_ratio(std::span<const uint8_t> a, std::span<const uint8_t> b, uint64_t seed = 1);
/// Exact two-sided McNemar test: the binomial test of only_a against only_b at 1/2 (McNemar 1947). 1 where
/// both are 0.
double mcnemar_exact(uint64_t only_a, uint64_t only_b);

/// Linear-interpolated quantile; q in [0, 1]; values need not be sorted; 0 for none.
double quantile(std::vector<double> values, double q);
/// The mean over labels of F1; a label neither predicted nor present does not count. Predictions may be -1
/// (no answer).
double macro_f1(std::span<const int32_t> predicted, std::span<const int32_t> gold, size_t labels);

}  // namespace bantam::eval
