#pragma once
// Linear SVMs, one label against the rest, by liblinear: what the linear baseline and the n-gram part of a
// classifier have in common.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "formats/labelled.h"

namespace bantam::eval {

struct Weighted {
  uint32_t index;
  double value;
};
using Sparse = std::vector<Weighted>;  // indices ascending and unique

struct LinearWeights {
  std::vector<float> values;      // [features + 1][columns], the bias last
  std::vector<int32_t> label_of;  // of a column
};

/// Squared hinge loss, L2 (liblinear's L2R_L2LOSS_SVC_DUAL, Fan et al. 2008); two labels too get a column
/// each. rows[i] are the features, all below `features`, of examples[i]. Deterministic; trainings take turns,
/// as liblinear draws from the C library's rand().
LinearWeights solve_linear(std::vector<Sparse> rows, std::span<const formats::Example> examples,
                           uint32_t features, double c);

/// Errors: kInvalidArgument for no examples, fewer than two labels among them, and a label outside
/// [0, labels) (with the example's line).
Status check_linear_examples(std::span<const formats::Example> examples, size_t labels);

}  // namespace bantam::eval
