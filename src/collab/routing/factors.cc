// Factors of collab/routing/predictor.h.

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "collab/routing/minimize.h"
#include "collab/routing/predictor.h"

namespace bantam::collab::routing {
namespace {

/// The request's vector, and its lexical figures on about the same scale.
void fill_inputs(const Vectors& vectors, const Standard& standard, const Row& row, std::span<float> out) {
  const size_t d = vectors.dimensions();
  vectors.embed(*row.query, row.features, out.first(d));
  // A vector of length 1 has entries of about 1 / sqrt(d).
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  const auto lexical = standard(row.features);
  for (size_t i = 0; i < kLexical; ++i) out[d + i] = 2 * scale * lexical[i];
}

/// The loss of all grades and its gradient, in the layout map | model factors.
struct Loss {
  std::span<const float> x;  // [rows][inputs]
  std::span<const GradedRow> rows;
  size_t inputs, models, rank;
  double l2;

  double operator()(std::span<const double> p, std::span<double> g) const {
    const auto map = p.first(rank * inputs), factors = p.subspan(rank * inputs);
    double value = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const bool constant = i >= map.size() && (i - map.size()) % (rank + 1) == rank;
      g[i] = constant ? 0 : l2 * p[i];
      value += constant ? 0 : 0.5 * l2 * p[i] * p[i];
    }
    std::vector<double> u(rank), du(rank);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto f = x.subspan(i * inputs, inputs);
      for (size_t r = 0; r < rank; ++r) {
        u[r] = 0;
        for (size_t j = 0; j < inputs; ++j) u[r] += map[r * inputs + j] * f[j];
        du[r] = 0;
      }
      for (size_t m = 0; m < models; ++m) {
        const double q = rows[i].quality[m];
        if (std::isnan(q)) continue;
        const auto v = factors.subspan(m * (rank + 1), rank + 1);
        double s = v[rank];
        for (size_t r = 0; r < rank; ++r) s += v[r] * u[r];
        value += softplus(s) - q * s;
        const double residual = sigmoid(s) - q;
        double* gv = &g[map.size() + m * (rank + 1)];
        for (size_t r = 0; r < rank; ++r) {
          gv[r] += residual * u[r];
          du[r] += residual * v[r];
        }
        gv[rank] += residual;
      }
      for (size_t r = 0; r < rank; ++r) {
        for (size_t j = 0; j < inputs; ++j) g[r * inputs + j] += du[r] * f[j];
      }
    }
    return value;
  }
};

}  // namespace

Factors::Factors(std::shared_ptr<const Vectors> vectors, Standard standard, std::vector<float> map,
                 std::vector<float> model_factors, size_t models, size_t rank)
    : vectors_(std::move(vectors)),
      standard_(standard),
      map_(std::move(map)),
      model_factors_(std::move(model_factors)),
      models_(models),
      rank_(rank) {}

Factors Factors::fit(std::shared_ptr<const Vectors> vectors, std::span<const GradedRow> rows, size_t models,
                     size_t rank, double l2, uint64_t seed) {
  std::vector<const Features*> features;
  for (const GradedRow& row : rows) features.push_back(&row.row->features);
  const Standard standard = Standard::learn(features);
  const size_t inputs = vectors->dimensions() + kLexical;
  std::vector<float> x(rows.size() * inputs);
  for (size_t i = 0; i < rows.size(); ++i)
    fill_inputs(*vectors, standard, *rows[i].row, std::span(x).subspan(i * inputs, inputs));
  Rng rng(seed);
  std::vector<double> p(rank * inputs + models * (rank + 1));
  for (double& value : p) value = 0.1 * rng.normal();
  p = minimize(Loss{x, rows, inputs, models, rank, l2}, std::move(p), 80, 1e-3);
  const auto split = p.begin() + static_cast<ptrdiff_t>(rank * inputs);
  return {std::move(vectors), standard, {p.begin(), split}, {split, p.end()}, models, rank};
}

void Factors::predict(const Row& row, std::span<float> log_odds) const {
  const size_t inputs = vectors_->dimensions() + kLexical;
  std::vector<float> x(inputs), u(rank_);
  fill_inputs(*vectors_, standard_, row, x);
  for (size_t r = 0; r < rank_; ++r) {
    for (size_t j = 0; j < inputs; ++j) u[r] += map_[r * inputs + j] * x[j];
  }
  for (size_t m = 0; m < models_; ++m) {
    const float* v = &model_factors_[m * (rank_ + 1)];
    log_odds[m] = v[rank_];
    for (size_t r = 0; r < rank_; ++r) log_odds[m] += v[r] * u[r];
  }
}

}  // namespace bantam::collab::routing
