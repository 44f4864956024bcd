#pragma once
// The classifier every small model has to be measured against: TF-IDF of word 1-2-grams and of character 2-5-grams within
// words, one-against-rest linear SVM (liblinear).

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/labelled.h"

namespace bantam::eval {

struct LinearOptions {
  int word_min = 1, word_max = 2;
  int char_min = 2, char_max = 5;
  int min_df = 1;
  double c = 1.0;
};

class LinearBaseline {
 public:
  /// Errors: kInvalidArgument for fewer than two labels or no examples.
  static Result<LinearBaseline> train(std::span<const formats::Example> examples, size_t labels, const LinearOptions& options = {});
  LinearBaseline(LinearBaseline&&) noexcept;
  LinearBaseline& operator=(LinearBaseline&&) noexcept;
  ~LinearBaseline();
  int32_t predict(std::string_view text) const;
  /// One margin per label.
  std::vector<double> decision(std::string_view text) const;
  uint64_t features() const;
  uint64_t bytes() const;  // of weights and vocabulary as this object holds them

 private:
  struct Impl;
  explicit LinearBaseline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bantam::eval
