#pragma once
// The tables of `bantam route eval` and `train`.

#include <string>
#include <vector>

#include "cli/output.h"
#include "collab/routing/evaluate.h"

namespace bantam::cli {

/// What routers trained on the other folds predicted for each request.
struct CrossPredictions {
  std::vector<std::string> parts;
  std::vector<std::vector<float>> quality;             // [request][model]
  std::vector<std::vector<std::vector<float>>> alone;  // [part][request][model]
  std::vector<size_t> at_best;            // the model chosen for the best single model's quality, by position
  std::vector<size_t> single;             // the best single model of the training folds
  std::vector<size_t> at_three_quarters;  // chosen for at most 3/4 of the best single model's cost
  void add(const collab::routing::Router& router, std::span<const size_t> held,
           std::span<const collab::routing::GradedRow> rows);
};

/// A way of ordering requests between two models.
struct PairRow {
  std::string name;
  collab::routing::PairFigures figures;
};
/// A team at one operating point.
struct TeamRow {
  std::string name;
  collab::routing::TeamFigures figures;
  double mix_cost = 0;  // cheapest random mix of single models of the same quality; 0: none reaches it
};

struct RouteReport {
  std::string data;
  size_t requests = 0, folds = 0;
  std::vector<collab::routing::ModelFigures> models;
  std::vector<PairRow> pair;  // of two models only
  std::vector<TeamRow> team;  // where there are costs
};

std::vector<PairRow> pair_rows(const CrossPredictions& seen, std::span<const collab::routing::GradedRow> rows,
                               std::span<const collab::routing::ModelFigures> models, uint64_t seed);
std::vector<TeamRow> team_rows(const CrossPredictions& seen, std::span<const collab::routing::GradedRow> rows,
                               std::span<const std::vector<float>> costs,
                               std::span<const collab::routing::ModelFigures> models, uint64_t seed);

Json report_json(const RouteReport& report);
std::string report_text(const RouteReport& report);
Json router_json(const collab::routing::Router& router);
std::string router_text(const collab::routing::Router& router);

}  // namespace bantam::cli
