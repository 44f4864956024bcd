#include "eval/summary.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

namespace bantam::eval {
namespace {

double mean(double sum, size_t n) { return n == 0 ? 0 : sum / static_cast<double>(n); }

Summary summarize_candidate(const Candidate& candidate, const Comparison& comparison,
                            std::span<const uint8_t> llm_right) {
  const auto right = right_answers(candidate, comparison.gold);
  Summary summary;
  summary.n = right.size();
  summary.right = static_cast<uint64_t>(std::count(right.begin(), right.end(), 1));
  summary.accuracy = mean(static_cast<double>(summary.right), summary.n);
  summary.interval = wilson(summary.right, summary.n);
  std::vector<int32_t> labels;
  std::vector<double> confidence, latency;
  double tokens = 0, cpu = 0;
  for (const auto& prediction : candidate.predictions) {
    labels.push_back(prediction.label);
    confidence.push_back(prediction.confidence);
    latency.push_back(prediction.latency);
    tokens += prediction.prompt_tokens;
    cpu += prediction.cpu;
  }
  summary.macro_f1 = macro_f1(labels, comparison.gold, comparison.labels.size());
  summary.has_confidence = std::any_of(confidence.begin(), confidence.end(), [](double c) { return c > 0; });
  if (summary.has_confidence) summary.ece = expected_calibration_error(confidence, right);
  summary.latency_p50 = quantile(latency, 0.5);
  summary.latency_p99 = quantile(latency, 0.99);
  const double wall = std::accumulate(latency.begin(), latency.end(), 0.0);
  summary.tokens_per_second = wall > 0 ? tokens / wall : 0;
  summary.cpu = mean(cpu, candidate.predictions.size());
  summary.cost_per_1000 = 1000 * summary.cpu / 3600 * comparison.cost.cpu_hour_price;
  summary.training_cost = candidate.training_cpu_seconds / 3600 * comparison.cost.cpu_hour_price;
  summary.to_llm = paired_ratio(right, llm_right);
  return summary;
}

}  // namespace

std::vector<uint8_t> right_answers(const Candidate& candidate, std::span<const int32_t> gold) {
  std::vector<uint8_t> right(std::min(candidate.predictions.size(), gold.size()));
  for (size_t i = 0; i < right.size(); ++i) right[i] = candidate.predictions[i].label == gold[i];
  return right;
}

std::vector<Summary> summarize(const Comparison& comparison) {
  const auto llm_right = right_answers(comparison.candidates[comparison.llm], comparison.gold);
  std::vector<Summary> summaries;
  for (const auto& candidate : comparison.candidates)
    summaries.push_back(summarize_candidate(candidate, comparison, llm_right));
  return summaries;
}

TeamRow team_at(const Comparison& comparison, double threshold) {
  const auto& slm = comparison.candidates[comparison.slm].predictions;
  const auto& llm = comparison.candidates[comparison.llm].predictions;
  const size_t n = std::min({slm.size(), llm.size(), comparison.gold.size()});
  uint64_t right = 0, llm_right = 0, asked = 0;
  double cpu = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool keep = slm[i].confidence >= threshold;
    right += (keep ? slm : llm)[i].label == comparison.gold[i];
    llm_right += llm[i].label == comparison.gold[i];
    asked += !keep;
    cpu += slm[i].cpu + (keep ? 0 : llm[i].cpu);
  }
  TeamRow row;
  row.threshold = threshold;
  row.accuracy = mean(static_cast<double>(right), n);
  row.interval = wilson(right, n);
  row.llm_share = mean(static_cast<double>(asked), n);
  row.cost_per_1000 = 1000 * mean(cpu, n) / 3600 * comparison.cost.cpu_hour_price;
  row.ratio_to_llm = llm_right == 0 ? 0 : static_cast<double>(right) / static_cast<double>(llm_right);
  return row;
}

std::vector<TeamRow> team_curve(const Comparison& comparison, size_t most) {
  std::vector<double> thresholds{0};
  for (const auto& prediction : comparison.candidates[comparison.slm].predictions)
    thresholds.push_back(prediction.confidence);
  thresholds.push_back(2);  // above every confidence: the LLM alone
  std::sort(thresholds.begin(), thresholds.end());
  thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
  std::vector<TeamRow> curve;
  const size_t steps = std::min(std::max<size_t>(most, 2), thresholds.size());
  for (size_t i = 0; i < steps; ++i) {
    curve.push_back(
        team_at(comparison, thresholds[i * (thresholds.size() - 1) / std::max<size_t>(steps - 1, 1)]));
  }
  return curve;
}

std::vector<Confusion> confusions(const Comparison& comparison, size_t most) {
  const auto& slm = comparison.candidates[comparison.slm].predictions;
  const auto& llm = comparison.candidates[comparison.llm].predictions;
  std::map<std::pair<int32_t, int32_t>, Confusion> found;
  for (size_t i = 0; i < std::min({slm.size(), llm.size(), comparison.gold.size()}); ++i) {
    const int32_t gold = comparison.gold[i];
    if (slm[i].label == gold) continue;
    auto& confusion = found[{gold, slm[i].label}];
    confusion.gold = gold;
    confusion.predicted = slm[i].label;
    ++confusion.count;
    confusion.llm_right += llm[i].label == gold;
    confusion.passed_on += slm[i].confidence < comparison.threshold;
  }
  std::vector<Confusion> list;
  for (const auto& [pair, confusion] : found) list.push_back(confusion);
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  if (list.size() > most) list.resize(most);
  return list;
}

std::string label_name(const Comparison& comparison, int32_t label) {
  if (label < 0 || static_cast<size_t>(label) >= comparison.labels.size()) return "(none)";
  return comparison.labels[static_cast<size_t>(label)];
}

}  // namespace bantam::eval
