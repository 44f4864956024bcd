#pragma once
// How good each model's answer to a request is going to be.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "collab/routing/vectors.h"

namespace bantam::collab::routing {

/// A request made ready once for all predictors.
struct Row {
  const Query* query = nullptr;
  Features features;
};

/// A row with the grades of its answers, NaN where unknown.
struct GradedRow {
  const Row* row = nullptr;
  std::span<const float> quality;
};

/// Predicts the log-odds of each model's quality. Immutable; safe to use from many threads.
class Predictor {
 public:
  virtual ~Predictor() = default;
  virtual void predict(const Row& row, std::span<float> log_odds) const = 0;
};

/// Logistic regression on hashed n-grams and lexical figures, one for each model (fractional grades are
/// fractional outcomes): minimises |w|^2 / 2 + c * sum of log losses.
class Linear final : public Predictor {
 public:
  static Linear fit(std::span<const GradedRow> rows, size_t models, double c, const Buckets& buckets = {});
  /// `weights`: for each model one for each bucket, each lexical figure, and a constant.
  Linear(TfIdf tfidf, Standard standard, std::vector<float> weights, size_t models);
  void predict(const Row& row, std::span<float> log_odds) const override;
  const TfIdf& tfidf() const { return tfidf_; }
  const Standard& standard() const { return standard_; }
  std::span<const float> weights() const { return weights_; }

 private:
  TfIdf tfidf_;
  Standard standard_;
  std::vector<float> weights_;
  size_t models_;
};

/// The mean grades of the nearest training requests by cosine, each weighted by its similarity, and `k` of
/// them counted together with `prior` answers of the model's mean grade.
class Neighbours final : public Predictor {
 public:
  static Neighbours fit(std::shared_ptr<const Vectors> vectors, std::span<const GradedRow> rows,
                        size_t models, uint32_t k);
  /// `points`: dimensions numbers each; `quality`: one for each model and point, below 0 where unknown.
  Neighbours(std::shared_ptr<const Vectors> vectors, std::vector<float> points, std::vector<float> quality,
             size_t models, uint32_t k);
  void predict(const Row& row, std::span<float> log_odds) const override;
  std::span<const float> points() const { return points_; }
  std::span<const float> quality() const { return quality_; }
  uint32_t k() const { return k_; }
  void set_k(uint32_t k) { k_ = k; }

 private:
  std::shared_ptr<const Vectors> vectors_;
  std::vector<float> points_, quality_;
  std::vector<double> mean_;
  size_t models_;
  uint32_t k_;
};

/// Matrix factorisation: log-odds(model, request) = b_m + v_m . W f, with f the request's vector and lexical
/// figures (as the router of Ong et al. 2024, section 4, with a logistic loss on grades).
class Factors final : public Predictor {
 public:
  static Factors fit(std::shared_ptr<const Vectors> vectors, std::span<const GradedRow> rows, size_t models,
                     size_t rank, double l2, uint64_t seed);
  /// `map`: rank rows of dimensions + kLexical numbers; `models`: rank + 1 numbers for each, the constant
  /// last.
  Factors(std::shared_ptr<const Vectors> vectors, Standard standard, std::vector<float> map,
          std::vector<float> model_factors, size_t models, size_t rank);
  void predict(const Row& row, std::span<float> log_odds) const override;
  const Standard& standard() const { return standard_; }
  std::span<const float> map() const { return map_; }
  std::span<const float> model_factors() const { return model_factors_; }
  size_t rank() const { return rank_; }

 private:
  std::shared_ptr<const Vectors> vectors_;
  Standard standard_;
  std::vector<float> map_, model_factors_;
  size_t models_, rank_;
};

/// log-odds of a quality, kept within 1 % of the ends.
float log_odds(double quality);
double sigmoid(double x);
/// log(1 + e^x) without overflow.
double softplus(double x);

}  // namespace bantam::collab::routing
