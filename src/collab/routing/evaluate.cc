#include "collab/routing/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "base/rng.h"

namespace bantam::collab::routing {
namespace {

struct PairPoint {
  double apgr = 0, cpt50 = 1, cpt80 = 1;
};

/// `order`: requests by falling score; `times`: how often each counts.
PairPoint pair_point(std::span<const size_t> order, std::span<const uint32_t> times,
                     std::span<const float> weak, std::span<const float> strong) {
  double n = 0, gap = 0;
  for (size_t i : order) {
    n += times[i];
    gap += times[i] * (static_cast<double>(strong[i]) - weak[i]);
  }
  PairPoint out;
  if (n == 0 || gap == 0) return {0.5, 0.5, 0.8};
  double gained = 0, area = 0, sent = 0;
  bool half = false, most = false;
  for (size_t i : order) {
    // Equal requests one after the other: PGR rises linearly, its mean over the step is at the middle.
    const double step = times[i] * (static_cast<double>(strong[i]) - weak[i]) / gap;
    area += times[i] * (gained + step / 2);
    gained += step;
    sent += times[i];
    if (!half && gained >= 0.5) {
      out.cpt50 = sent / n;
      half = true;
    }
    if (!most && gained >= 0.8) {
      out.cpt80 = sent / n;
      most = true;
    }
  }
  out.apgr = area / n;
  return out;
}

/// The middle 95 % of `values`, which are sorted here.
Interval middle(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) {
    return values[static_cast<size_t>(p * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.025), at(0.975)};
}

std::vector<uint32_t> resample(Rng& rng, size_t n) {
  std::vector<uint32_t> times(n);
  for (size_t i = 0; i < n; ++i) ++times[rng.below(n)];
  return times;
}

}  // namespace

PairFigures pair_figures(std::span<const double> score, std::span<const float> weak,
                         std::span<const float> strong, uint64_t seed, size_t bootstraps) {
  const size_t n = score.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  Rng rng(seed);
  rng.shuffle(order);  // equal scores come in a random order, not in the data's
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
  const PairPoint point = pair_point(order, std::vector<uint32_t>(n, 1), weak, strong);
  std::vector<double> apgr, cpt50, cpt80;
  for (size_t b = 0; b < bootstraps; ++b) {
    const PairPoint drawn = pair_point(order, resample(rng, n), weak, strong);
    apgr.push_back(drawn.apgr);
    cpt50.push_back(drawn.cpt50);
    cpt80.push_back(drawn.cpt80);
  }
  return {{point.apgr, middle(apgr)}, {point.cpt50, middle(cpt50)}, {point.cpt80, middle(cpt80)}};
}

TeamFigures team_figures(std::span<const float> quality, std::span<const float> cost,
                         std::span<const float> single_quality, std::span<const float> single_cost,
                         uint64_t seed, size_t bootstraps) {
  const size_t n = quality.size();
  const auto mean = [&](std::span<const float> values, std::span<const uint32_t> times) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(times[i]) * values[i];
    return sum / static_cast<double>(n);
  };
  const auto point = [&](std::span<const uint32_t> times) {
    const double q = mean(quality, times), c = mean(cost, times);
    const double single = mean(single_cost, times);
    return std::array{q, c, q - mean(single_quality, times), single > 0 ? c / single : 0};
  };
  const auto whole = point(std::vector<uint32_t>(n, 1));
  std::array<std::vector<double>, 4> drawn;
  Rng rng(seed);
  for (size_t b = 0; b < bootstraps; ++b) {
    const auto values = point(resample(rng, n));
    for (size_t i = 0; i < values.size(); ++i) drawn[i].push_back(values[i]);
  }
  return {{whole[0], middle(drawn[0])},
          {whole[1], middle(drawn[1])},
          {whole[2], middle(drawn[2])},
          {whole[3], middle(drawn[3])}};
}

Status cross_validate(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                      const std::vector<std::string>& models, size_t folds, const TrainOptions& options,
                      const std::function<void(const Router&, std::span<const size_t>)>& test) {
  std::unordered_map<std::string_view, size_t> fold_of;
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(options.seed, 3).shuffle(order);
  size_t next = 0;
  for (size_t i : order) {
    if (fold_of.emplace(rows[i].row->query->text, next % folds).second) ++next;
  }
  for (size_t fold = 0; fold < folds; ++fold) {
    std::vector<GradedRow> from;
    std::vector<std::vector<float>> from_costs;
    std::vector<size_t> held;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (fold_of.at(rows[i].row->query->text) == fold) {
        held.push_back(i);
      } else {
        from.push_back(rows[i]);
        from_costs.push_back(costs[i]);
      }
    }
    if (held.empty()) continue;
    BANTAM_ASSIGN(const Router router, Router::train(from, from_costs, models, options));
    test(router, held);
  }
  return {};
}

}  // namespace bantam::collab::routing
