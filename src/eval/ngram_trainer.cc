#include "eval/ngram_trainer.h"

#include <algorithm>
#include <cmath>

#include "eval/linear_solver.h"

namespace bantam::eval {
namespace {

constexpr double kC = 1.0;  // as the linear baseline's
constexpr double kUntestedScale =
    4;                           // where no label has two examples; about what it is on public intent sets
constexpr float kNever = -3.0F;  // the margin of a label without examples: below where the others' end

/// The smoothed inverse document frequency of each bucket (as LinearBaseline's of an n-gram).
std::vector<float> inverse_frequencies(std::span<const formats::Example> examples,
                                       const model::NgramShape& shape) {
  std::vector<uint32_t> frequency(shape.buckets);
  for (const auto& example : examples) {
    for (const auto& feature : model::ngram_features(example.text, shape, {})) ++frequency[feature.bucket];
  }
  std::vector<float> out;
  for (const uint32_t df : frequency)
    out.push_back(
        static_cast<float>(std::log((1.0 + static_cast<double>(examples.size())) / (1.0 + df)) + 1.0));
  return out;
}

}  // namespace

Result<model::NgramWeights> train_ngrams(std::span<const formats::Example> examples, size_t labels,
                                         const model::NgramShape& shape, const LinearOpinion* opinion) {
  BANTAM_TRY(check_linear_examples(examples, labels));
  model::NgramWeights out{.shape = shape,
                          .idf = inverse_frequencies(examples, shape),
                          .scale = opinion != nullptr ? 1 / opinion->temperature() : kUntestedScale};
  std::vector<Sparse> rows;
  for (const auto& example : examples) {
    auto& row = rows.emplace_back();
    for (const auto& [bucket, value] : model::ngram_features(example.text, shape, out.idf))
      row.push_back({bucket, value});
  }
  const auto found = solve_linear(std::move(rows), examples, shape.buckets, kC);
  const size_t columns = found.label_of.size();
  out.values.assign(size_t{shape.buckets} * labels, 0.0F);
  out.bias.assign(labels, kNever);
  for (size_t k = 0; k < columns; ++k) {
    const auto label = static_cast<size_t>(found.label_of[k]);
    for (size_t row = 0; row < shape.buckets; ++row)
      out.values[row * labels + label] = found.values[row * columns + k];
    out.bias[label] = found.values[shape.buckets * columns + k];
  }
  return out;
}

}  // namespace bantam::eval
