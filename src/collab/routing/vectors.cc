#include "collab/routing/vectors.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace bantam::collab::routing {
namespace {

/// Rows of `d` floats.
using Rows = std::vector<float>;

/// Makes the columns orthonormal (modified Gram-Schmidt, twice for the rounding); a column that vanishes
/// stays 0.
void orthonormalise(Rows& m, size_t d) {
  const size_t n = m.size() / d;
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t j = 0; j < d; ++j) {
      for (size_t k = 0; k < j; ++k) {
        double dot = 0;
        for (size_t i = 0; i < n; ++i) dot += static_cast<double>(m[i * d + j]) * m[i * d + k];
        const auto f = static_cast<float>(dot);
        for (size_t i = 0; i < n; ++i) m[i * d + j] -= f * m[i * d + k];
      }
      double squares = 0;
      for (size_t i = 0; i < n; ++i) squares += static_cast<double>(m[i * d + j]) * m[i * d + j];
      const auto scale = static_cast<float>(squares > 1e-20 ? 1 / std::sqrt(squares) : 0);
      for (size_t i = 0; i < n; ++i) m[i * d + j] *= scale;
    }
  }
}

Rows times(const std::vector<Sparse>& x, const Rows& v, size_t d) {
  Rows out(x.size() * d);
  for (size_t i = 0; i < x.size(); ++i) {
    for (const Weighted& w : x[i]) {
      for (size_t j = 0; j < d; ++j) out[i * d + j] += w.value * v[w.index * d + j];
    }
  }
  return out;
}

Rows times_transposed(const std::vector<Sparse>& x, const Rows& u, size_t buckets, size_t d) {
  Rows out(buckets * d);
  for (size_t i = 0; i < x.size(); ++i) {
    for (const Weighted& w : x[i]) {
      for (size_t j = 0; j < d; ++j) out[w.index * d + j] += w.value * u[i * d + j];
    }
  }
  return out;
}

}  // namespace

LatentVectors LatentVectors::learn(std::span<const Features* const> rows, size_t dimensions, uint32_t words,
                                   uint64_t seed) {
  constexpr int kIterations = 3;
  TfIdf tfidf = TfIdf::learn(rows, {words, 0});
  std::vector<Sparse> x;
  for (const Features* row : rows) x.push_back(tfidf(*row));
  Rng rng(seed);
  Rows v(words * dimensions);
  for (float& value : v) value = static_cast<float>(rng.normal());
  for (int i = 0; i < kIterations; ++i) {
    Rows u = times(x, v, dimensions);
    orthonormalise(u, dimensions);
    v = times_transposed(x, u, words, dimensions);
  }
  // The columns of v are the singular vectors times their values, turned: what is left is to make them
  // orthonormal, so that no direction counts more for being frequent.
  orthonormalise(v, dimensions);
  return {std::move(tfidf), std::move(v), dimensions};
}

void LatentVectors::embed(const Query&, const Features& features, std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  for (const Weighted& w : tfidf_(features)) {
    const float* row = &projection_[w.index * dimensions_];
    for (size_t j = 0; j < dimensions_; ++j) out[j] += w.value * row[j];
  }
  double squares = 0;
  for (float value : out) squares += static_cast<double>(value) * value;
  if (squares <= 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& value : out) value *= scale;
}

}  // namespace bantam::collab::routing
