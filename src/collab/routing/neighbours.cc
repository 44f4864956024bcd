// Neighbours of collab/routing/predictor.h.

#include <algorithm>
#include <cmath>

#include "collab/routing/predictor.h"

namespace bantam::collab::routing {
namespace {

constexpr double kPrior = 4;  // answers of the mean grade, counted with the neighbours'

}  // namespace

Neighbours::Neighbours(std::shared_ptr<const Vectors> vectors, std::vector<float> points,
                       std::vector<float> quality, size_t models, uint32_t k)
    : vectors_(std::move(vectors)),
      points_(std::move(points)),
      quality_(std::move(quality)),
      mean_(models),
      models_(models),
      k_(k) {
  std::vector<double> known(models);
  for (size_t i = 0; i < quality_.size(); ++i) {
    if (quality_[i] < 0) continue;
    mean_[i % models] += quality_[i];
    ++known[i % models];
  }
  for (size_t m = 0; m < models; ++m) mean_[m] = known[m] > 0 ? mean_[m] / known[m] : 0.5;
}

Neighbours Neighbours::fit(std::shared_ptr<const Vectors> vectors, std::span<const GradedRow> rows,
                           size_t models, uint32_t k) {
  const size_t d = vectors->dimensions();
  std::vector<float> points(rows.size() * d), quality;
  for (size_t i = 0; i < rows.size(); ++i) {
    vectors->embed(*rows[i].row->query, rows[i].row->features, std::span(points).subspan(i * d, d));
    for (float q : rows[i].quality) quality.push_back(std::isnan(q) ? -1.0f : q);
  }
  return {std::move(vectors), std::move(points), std::move(quality), models, k};
}

void Neighbours::predict(const Row& row, std::span<float> log_odds) const {
  const size_t d = vectors_->dimensions(), n = points_.size() / d;
  std::vector<float> x(d);
  vectors_->embed(*row.query, row.features, x);
  std::vector<std::pair<float, uint32_t>> nearest(n);
  for (size_t i = 0; i < n; ++i) {
    const float* point = &points_[i * d];
    float sums[8] = {};  // eight sums, so that the compiler may use vector registers without reordering
    size_t j = 0;
    for (; j + 8 <= d; j += 8) {
      for (size_t s = 0; s < 8; ++s) sums[s] += x[j + s] * point[j + s];
    }
    for (; j < d; ++j) sums[0] += x[j] * point[j];
    nearest[i] = {((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])),
                  static_cast<uint32_t>(i)};
  }
  const size_t k = std::min<size_t>(k_, n);
  const auto nearer = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  if (k < n)
    std::nth_element(nearest.begin(), nearest.begin() + static_cast<ptrdiff_t>(k), nearest.end(), nearer);
  std::vector<double> sum(models_), weight(models_);
  for (size_t i = 0; i < k; ++i) {
    const double similar = std::max(0.0f, nearest[i].first);
    for (size_t m = 0; m < models_; ++m) {
      const float q = quality_[nearest[i].second * models_ + m];
      if (q < 0) continue;
      sum[m] += similar * q;
      weight[m] += similar;
    }
  }
  for (size_t m = 0; m < models_; ++m)
    log_odds[m] = routing::log_odds((sum[m] + kPrior * mean_[m]) / (weight[m] + kPrior));
}

}  // namespace bantam::collab::routing
