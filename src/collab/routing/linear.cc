// Linear of collab/routing/predictor.h.

#include <algorithm>
#include <cmath>

#include "collab/routing/minimize.h"
#include "collab/routing/predictor.h"

namespace bantam::collab::routing {
namespace {

// Lexical figures have deviation 1 each where a text's n-grams have length 1 together.
constexpr float kLexicalScale = 0.25f;

/// One row's inputs in one piece: buckets, lexical figures, the constant.
Sparse sparse_inputs(const TfIdf& tfidf, const Standard& standard, const Features& features) {
  Sparse out = tfidf(features);
  const auto first = static_cast<uint32_t>(tfidf.buckets().size());
  const auto lexical = standard(features);
  for (uint32_t i = 0; i < kLexical; ++i) out.push_back({first + i, kLexicalScale * lexical[i]});
  out.push_back({first + static_cast<uint32_t>(kLexical), 1.0f});
  return out;
}

}  // namespace

float log_odds(double quality) {
  const double p = std::clamp(quality, 0.01, 0.99);
  return static_cast<float>(std::log(p / (1 - p)));
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

Linear::Linear(TfIdf tfidf, Standard standard, std::vector<float> weights, size_t models)
    : tfidf_(std::move(tfidf)), standard_(standard), weights_(std::move(weights)), models_(models) {}

Linear Linear::fit(std::span<const GradedRow> rows, size_t models, double c, const Buckets& buckets) {
  std::vector<const Features*> features;
  for (const GradedRow& row : rows) features.push_back(&row.row->features);
  TfIdf tfidf = TfIdf::learn(features, buckets);
  const Standard standard = Standard::learn(features);
  std::vector<Sparse> x;
  for (const Features* f : features) x.push_back(sparse_inputs(tfidf, standard, *f));
  const size_t n = buckets.size() + kLexical + 1;
  std::vector<float> weights(n * models);
  for (size_t m = 0; m < models; ++m) {
    const Objective objective = [&](std::span<const double> w, std::span<double> gradient) {
      double value = 0;
      for (size_t i = 0; i < n; ++i) {
        // The constant is not held back.
        const double held = i + 1 == n ? 0 : w[i];
        value += 0.5 * held * held;
        gradient[i] = held;
      }
      for (size_t i = 0; i < x.size(); ++i) {
        const double q = rows[i].quality[m];
        if (std::isnan(q)) continue;
        double s = 0;
        for (const Weighted& e : x[i]) s += w[e.index] * e.value;
        value += c * (softplus(s) - q * s);
        const double residual = c * (sigmoid(s) - q);
        for (const Weighted& e : x[i]) gradient[e.index] += residual * e.value;
      }
      return value;
    };
    const auto w = minimize(objective, std::vector<double>(n), 60, 1e-3);
    std::copy(w.begin(), w.end(), weights.begin() + static_cast<ptrdiff_t>(m * n));
  }
  return {std::move(tfidf), standard, std::move(weights), models};
}

void Linear::predict(const Row& row, std::span<float> log_odds) const {
  const size_t n = weights_.size() / models_;
  const Sparse x = sparse_inputs(tfidf_, standard_, row.features);
  for (size_t m = 0; m < models_; ++m) {
    const float* w = &weights_[m * n];
    float s = 0;
    for (const Weighted& e : x) s += w[e.index] * e.value;
    log_odds[m] = s;
  }
}

}  // namespace bantam::collab::routing
