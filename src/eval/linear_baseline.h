#pragma once
// The classifier every small model has to be measured against: TF-IDF of word 1-2-grams and of character
// 2-5-grams within words, one-against-rest linear SVM (liblinear).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/labelled.h"

namespace bantam::eval {

struct LinearOptions {
  int word_min = 1, word_max = 2;
  int char_min = 2, char_max = 5;
  int min_df = 1;             // examples an n-gram must occur in
  bool sublinear_tf = false;  // 1 + ln(count) in place of the count
  double c = 1.0;
};

/// Text is lower-cased; each of the two blocks of n-grams is weighted by its smoothed inverse document
/// frequency, ln((1 + n) / (1 + df)) + 1, and scaled to length 1; the SVM has squared hinge loss and a bias
/// (liblinear's L2R_L2LOSS_SVC_DUAL, Fan et al. 2008). Immutable after training; safe to use from many
/// threads.
class LinearBaseline {
 public:
  /// Deterministic: equal examples and options give equal weights (it seeds the C library's rand(), which
  /// liblinear draws from; trainings take turns). Errors: kInvalidArgument for options out of range, no
  /// examples, fewer than two labels among them, a label outside [0, labels) (with the example's line), and
  /// texts without a single n-gram.
  static Result<LinearBaseline> train(std::span<const formats::Example> examples, size_t labels,
                                      const LinearOptions& options = {});
  LinearBaseline(LinearBaseline&&) noexcept;
  LinearBaseline& operator=(LinearBaseline&&) noexcept;
  ~LinearBaseline();

  /// The label with the largest margin, the first of equals; never one that no training example had.
  int32_t predict(std::string_view text) const;
  /// One margin per label; minus infinity for a label that no training example had.
  std::vector<double> decision(std::string_view text) const;
  uint64_t features() const;
  /// Weights, the bias of each label included.
  uint64_t parameters() const;
  uint64_t bytes() const;  // of weights and vocabulary as this object holds them

 private:
  struct Impl;
  explicit LinearBaseline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bantam::eval
