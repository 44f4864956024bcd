// From predicted grades to a model: choose() and the operating curve of collab/routing/router.h.

#include <algorithm>
#include <cmath>

#include "collab/routing/router.h"

namespace bantam::collab::routing {

size_t choose(std::span<const float> quality, std::span<const double> cost, const Policy& policy) {
  size_t best = 0;
  if (policy.kind == Policy::Kind::kPrice) {
    const auto worth = [&](size_t m) { return policy.value * quality[m] - cost[m]; };
    for (size_t m = 1; m < quality.size(); ++m) {
      const double gain = worth(m) - worth(best);
      if (gain > 0 || (gain == 0 && cost[m] < cost[best])) best = m;
    }
    return best;
  }
  bool found = false;
  for (size_t m = 0; m < quality.size(); ++m) {
    if (quality[m] < policy.value) continue;
    if (!found || cost[m] < cost[best] || (cost[m] == cost[best] && quality[m] > quality[best])) best = m;
    found = true;
  }
  if (found) return best;
  for (size_t m = 1; m < quality.size(); ++m) {
    if (quality[m] > quality[best] || (quality[m] == quality[best] && cost[m] < cost[best])) best = m;
  }
  return best;
}

std::vector<OperatingPoint> operating_curve(std::span<const std::vector<float>> predicted,
                                            std::span<const GradedRow> rows,
                                            std::span<const std::vector<float>> costs,
                                            std::span<const ModelFigures> models) {
  std::vector<double> cost;
  double dearest = 0, cheapest = INFINITY;
  for (const ModelFigures& model : models) {
    cost.push_back(model.cost);
    dearest = std::max(dearest, model.cost);
    if (model.cost > 0) cheapest = std::min(cheapest, model.cost);
  }
  if (dearest <= 0) return {};
  std::vector<OperatingPoint> out;
  constexpr int kPrices = 120;
  // From a price at which nothing is worth more than the cheapest model to one at which only quality counts.
  const double low = std::log(cheapest / 10), high = std::log(dearest * 1e5);
  for (int p = 0; p <= kPrices; ++p) {
    OperatingPoint point{p == 0 ? 0 : std::exp(low + (high - low) * p / kPrices), 0, 0};
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t m = choose(predicted[i], cost, {Policy::Kind::kPrice, point.price});
      const float quality = rows[i].quality[m], paid = costs[i][m];
      point.quality += std::isnan(quality) ? models[m].quality : quality;
      point.cost += std::isnan(paid) ? models[m].cost : paid;
    }
    point.quality /= static_cast<double>(rows.size());
    point.cost /= static_cast<double>(rows.size());
    out.push_back(point);
  }
  return out;
}

std::optional<double> price_for_quality(std::span<const OperatingPoint> curve, double quality) {
  const OperatingPoint* best = nullptr;
  for (const OperatingPoint& point : curve) {
    if (point.quality >= quality && (best == nullptr || point.cost < best->cost)) best = &point;
  }
  if (best == nullptr && !curve.empty()) {
    best = &*std::max_element(curve.begin(), curve.end(),
                              [](const auto& a, const auto& b) { return a.quality < b.quality; });
  }
  return best == nullptr ? std::nullopt : std::optional(best->price);
}

std::optional<double> price_for_budget(std::span<const OperatingPoint> curve, double budget) {
  const OperatingPoint* best = nullptr;
  for (const OperatingPoint& point : curve) {
    if (point.cost <= budget && (best == nullptr || point.quality > best->quality)) best = &point;
  }
  return best == nullptr ? std::nullopt : std::optional(best->price);
}

}  // namespace bantam::collab::routing
