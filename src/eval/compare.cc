#include "eval/compare.h"

#include <algorithm>
#include <array>

#include "eval/summary.h"

namespace bantam::eval {

std::vector<TeamRow> team_table(const Comparison& comparison) {
  // 0 is the SLM alone; the steps narrow towards 1, where the confidence of a good model gathers.
  constexpr std::array kGrid{0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0};
  std::vector<double> thresholds(kGrid.begin(), kGrid.end());
  const bool calibrated = comparison.target > 0;
  if (calibrated) thresholds.push_back(comparison.threshold);
  std::sort(thresholds.begin(), thresholds.end());
  thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
  std::vector<TeamRow> rows;
  for (double threshold : thresholds) {
    rows.push_back(team_at(comparison, threshold));
    rows.back().calibrated = calibrated && threshold == comparison.threshold;
  }
  return rows;
}

}  // namespace bantam::eval
