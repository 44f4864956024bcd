#include "eval/html_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "eval/report_format.h"
#include "eval/svg.h"

namespace bantam::eval {
namespace {

using svg::Chart;
using svg::Point;

std::string_view series(const Comparison& comparison, size_t index) {
  if (index == comparison.llm) return "llm";
  if (index == comparison.slm) return "slm";
  return "other";
}

/// "1.00 MB" as "1 MB", for round numbers on axes.
std::function<std::string(double)> round_tick(std::string (*text)(double)) {
  return [text](double value) {
    std::string out = text(value);
    const size_t space = out.find(' '), point = out.find('.');
    if (point == std::string::npos || point > space) return out;
    const size_t last = out.find_last_not_of('0', space - 1);
    return out.erase(last == point ? point : last + 1, space - (last == point ? point : last + 1));
  };
}

std::string percent_tick(double share) { return fmt::format("{:g} %", std::round(share * 1000) / 10); }

/// Accuracy over a cost: one marker with its interval for each candidate whose cost is known.
std::string scatter(const Comparison& comparison, std::span<const Summary> summaries, const char* title,
                    const std::function<double(size_t)>& cost, std::string (*label)(double)) {
  double least = 0, most = 0, low = 1, high = 0;
  for (size_t i = 0; i < summaries.size(); ++i) {
    const double c = cost(i);
    if (!(c > 0)) continue;
    least = least > 0 ? std::min(least, c) : c;
    most = std::max(most, c);
    low = std::min(low, summaries[i].interval.low);
    high = std::max(high, summaries[i].interval.high);
  }
  if (!(least > 0)) return "";
  const double pad = std::max(0.01, 0.15 * (high - low));
  Chart chart(svg::log_axis(least / 2.2, most * 2.2, title, round_tick(label)),
              svg::linear_axis(std::max(0.0, low - pad), std::min(1.0, high + pad), "Accuracy", percent_tick),
              fmt::format("Accuracy against {}", title));
  for (size_t i = 0; i < summaries.size(); ++i) {
    if (cost(i) > 0)
      chart.error_bar(cost(i), summaries[i].interval.low, summaries[i].interval.high, series(comparison, i));
  }
  for (size_t i = 0; i < summaries.size(); ++i) {
    if (!(cost(i) > 0)) continue;
    const auto& name = comparison.candidates[i].name;
    chart.marker({cost(i), summaries[i].accuracy}, series(comparison, i),
                 fmt::format("{}: {} ({}), {}", name, percent_text(summaries[i].accuracy, 2),
                             interval_text(summaries[i].interval), label(cost(i))),
                 name);
  }
  return chart.str();
}

}  // namespace

std::string chart_accuracy_bytes(const Comparison& comparison, std::span<const Summary> summaries) {
  return scatter(
      comparison, summaries, "File size (logarithmic)",
      [&](size_t i) { return static_cast<double>(comparison.candidates[i].file_bytes); }, bytes_text);
}

std::string chart_accuracy_cpu(const Comparison& comparison, std::span<const Summary> summaries) {
  return scatter(
      comparison, summaries, "CPU time per request (logarithmic)", [&](size_t i) { return summaries[i].cpu; },
      seconds_text);
}

std::string chart_team(const Comparison& comparison, std::span<const Summary> summaries) {
  std::vector<Point> line, low, high;
  const double llm = summaries[comparison.llm].accuracy;
  double least = llm * (comparison.target > 0 ? comparison.target : 1), most = llm;
  for (const auto& row : team_curve(comparison)) {
    line.push_back({row.llm_share, row.accuracy});
    low.push_back({row.llm_share, row.interval.low});
    high.push_back({row.llm_share, row.interval.high});
    least = std::min(least, row.interval.low);
    most = std::max(most, row.interval.high);
  }
  const double pad = 0.08 * (most - least);
  Chart chart(svg::linear_axis(0, 1, "Share of requests sent to the LLM", percent_tick),
              svg::linear_axis(std::max(0.0, least - pad), std::min(1.0, most + pad), "Accuracy of the team",
                               percent_tick, 6),
              "Accuracy of the team against the share of requests sent to the LLM", 1080, 380);
  chart.band(low, high, "team");
  chart.horizontal(llm, "llm", fmt::format("LLM alone {}", percent_text(llm, 2)), true);
  if (comparison.target > 0) {
    chart.horizontal(llm * comparison.target, "target",
                     fmt::format("{} of the LLM's", percent_text(comparison.target)), false);
  }
  chart.line(line, "team");
  chart.marker(line.front(), "slm", fmt::format("SLM alone: {}", percent_text(line.front().y, 2)),
               fmt::format("SLM alone {}", percent_text(line.front().y, 2)));
  if (comparison.calibrated()) {
    const TeamRow row = team_at(comparison, comparison.threshold);
    chart.marker(
        {row.llm_share, row.accuracy}, "calibrated",
        fmt::format("threshold {:.4f}: accuracy {} ({}), {} of requests to the LLM", row.threshold,
                    percent_text(row.accuracy, 2), interval_text(row.interval), percent_text(row.llm_share)),
        fmt::format("calibrated: {} at {}", percent_text(row.accuracy, 2), percent_text(row.llm_share)),
        true);
  }
  return chart.str();
}

std::string chart_reliability(const Comparison& comparison) {
  const auto& slm = comparison.candidates[comparison.slm];
  const auto right = right_answers(slm, comparison.gold);
  std::vector<double> confidence;
  for (const auto& prediction : slm.predictions) confidence.push_back(prediction.confidence);
  Chart chart(svg::linear_axis(0, 1, "Confidence of the SLM", percent_tick),
              svg::linear_axis(0, 1, "Share right", percent_tick),
              "Share of right answers against the confidence of the SLM", 520, 360);
  for (const auto& bin : reliability(confidence, right)) {
    if (bin.count == 0) continue;
    const double share =
        static_cast<double>(bin.count) / static_cast<double>(std::max<size_t>(right.size(), 1));
    chart.bar(bin.low, bin.high, bin.accuracy, "slm",
              fmt::format("{} of {} answers; mean confidence {}, right {}", grouped(bin.count),
                          grouped(right.size()), percent_text(bin.confidence), percent_text(bin.accuracy)));
    chart.bar(bin.low, bin.high, share, "count", fmt::format("{} of all answers", percent_text(share)));
  }
  const std::vector<Point> diagonal{{0, 0}, {1, 1}};
  chart.line(diagonal, "ideal");
  return chart.str();
}

}  // namespace bantam::eval
