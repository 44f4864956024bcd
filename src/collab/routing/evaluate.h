#pragma once
// What a router is worth, by cross-validation.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/statistics.h"
#include "collab/routing/router.h"

namespace bantam::collab::routing {

/// A figure and its 95 % interval, by bootstrap over the requests.
struct Estimate {
  double value = 0;
  Interval interval;
};

/// Two models, requests sent to the strong one in the order of a score. PGR: share of the gap between the two
/// models' mean grades that is recovered. Source: Ong et al. 2024, section 3.2.
struct PairFigures {
  Estimate apgr;          // mean PGR over all shares of strong calls; 0.5 for a random order
  Estimate cpt50, cpt80;  // least share of strong calls for a PGR of 0.5 (0.8)
};
PairFigures pair_figures(std::span<const double> score, std::span<const float> weak,
                         std::span<const float> strong, uint64_t seed, size_t bootstraps = 1000);

/// A team of many models at one operating point, beside the best single model.
struct TeamFigures {
  Estimate quality, cost;
  Estimate quality_gap;  // the team's minus the best single model's
  Estimate cost_ratio;   // the team's cost over the best single model's
};
TeamFigures team_figures(std::span<const float> quality, std::span<const float> cost,
                         std::span<const float> single_quality, std::span<const float> single_cost,
                         uint64_t seed, size_t bootstraps = 1000);

/// Calls `test(router, held-out positions)` for each of `folds` parts, chosen by the seed, with a router
/// trained on the others. Requests of equal text are in one fold. Errors: those of Router::train.
Status cross_validate(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                      const std::vector<std::string>& models, size_t folds, const TrainOptions& options,
                      const std::function<void(const Router&, std::span<const size_t>)>& test);

}  // namespace bantam::collab::routing
