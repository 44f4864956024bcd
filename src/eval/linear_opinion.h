#pragma once
// What the linear baseline says of the examples that it learns from: a second opinion for a teacher.

#include <cstdint>
#include <span>
#include <stop_token>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "eval/linear_baseline.h"

namespace bantam::eval {

/// Baselines trained each without one part of the examples. A text made from an example is answered by the
/// one that has not seen it, so that what it says is what it would say of a new text. Immutable after
/// training; safe to use from many threads.
class LinearOpinion {
 public:
  /// Errors: those of LinearBaseline::train; kInvalidArgument for fewer than 2 parts, or when no label has
  /// two examples; kCancelled.
  static Result<LinearOpinion> train(std::span<const formats::Example> examples, size_t labels,
                                     unsigned parts = 5, const ProgressSink& progress = {},
                                     const std::stop_token& cancel = {});

  /// One probability for each label: the softmax of the margins over temperature().
  std::vector<float> probabilities(size_t item, std::string_view text) const;
  /// Under which the examples' own labels are likeliest (compress::fit_temperature).
  double temperature() const { return temperature_; }
  /// Share of the examples whose label has the largest margin.
  double accuracy() const { return accuracy_; }

 private:
  LinearOpinion() = default;
  std::vector<LinearBaseline> models_;
  std::vector<uint32_t> part_of_;  // each example's
  double temperature_ = 1, accuracy_ = 0;
};

}  // namespace bantam::eval
