#include "eval/compare.h"

#include <algorithm>
#include <array>

#include "eval/report_format.h"
#include "eval/summary.h"

namespace bantam::eval {

std::string Comparison::promise() const {
  if (target > 0) return fmt::format("calibrated for {} of the LLM's accuracy", percent_text(target));
  return fmt::format("certified: at most {} of the answers kept are wrong, with a probability of {}",
                     percent_text(error), percent_text(confidence));
}

std::vector<TeamRow> team_table(const Comparison& comparison) {
  // 0 is the SLM alone; the steps narrow towards 1, where the confidence of a good model gathers.
  constexpr std::array kGrid{0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0};
  std::vector<double> thresholds(kGrid.begin(), kGrid.end());
  const bool calibrated = comparison.calibrated();
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
