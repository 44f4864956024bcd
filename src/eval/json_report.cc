// to_json of eval/compare.h.

#include <nlohmann/json.hpp>

#include "eval/compare.h"
#include "eval/summary.h"

namespace bantam::eval {
namespace {

using Json = nlohmann::ordered_json;

/// value / reference, null where that is no number.
Json ratio_json(double value, double reference) {
  return reference > 0 ? Json(value / reference) : Json(nullptr);
}

Json interval(const Interval& i) { return Json::array({i.low, i.high}); }

Json candidate_json(const Comparison& comparison, std::span<const Summary> summaries, size_t index) {
  const Candidate& candidate = comparison.candidates[index];
  const Candidate& llm = comparison.candidates[comparison.llm];
  const Summary& s = summaries[index];
  const Summary& reference = summaries[comparison.llm];
  return {
      {"name", candidate.name},
      {"detail", candidate.detail},
      {"parameters", candidate.parameters},
      {"file_bytes", candidate.file_bytes},
      {"memory_bytes", candidate.memory_bytes},
      {"latency_seconds", {{"p50", s.latency_p50}, {"p99", s.latency_p99}}},
      {"tokens_per_second", s.tokens_per_second > 0 ? Json(s.tokens_per_second) : Json(nullptr)},
      {"cpu_seconds_per_request", s.cpu},
      {"accuracy",
       {{"value", s.accuracy}, {"right", s.right}, {"n", s.n}, {"interval_95", interval(s.interval)}}},
      {"macro_f1", s.macro_f1},
      {"expected_calibration_error", s.has_confidence ? Json(s.ece) : Json(nullptr)},
      {"training", {{"cpu_seconds", candidate.training_cpu_seconds}, {"cost", s.training_cost}}},
      {"cost_per_1000_requests", s.cost_per_1000},
      {"to_llm",
       {{"parameters",
         ratio_json(static_cast<double>(candidate.parameters), static_cast<double>(llm.parameters))},
        {"file_bytes",
         ratio_json(static_cast<double>(candidate.file_bytes), static_cast<double>(llm.file_bytes))},
        {"memory_bytes",
         ratio_json(static_cast<double>(candidate.memory_bytes), static_cast<double>(llm.memory_bytes))},
        {"latency_p50", ratio_json(s.latency_p50, reference.latency_p50)},
        {"cpu", ratio_json(s.cpu, reference.cpu)},
        {"accuracy", s.to_llm.ratio},
        {"accuracy_interval_95", interval(s.to_llm.interval)},
        {"only_this_right", s.to_llm.only_a},
        {"only_llm_right", s.to_llm.only_b},
        {"mcnemar_p", s.to_llm.mcnemar_p}}},
  };
}

Json team_row_json(const TeamRow& row) {
  return {{"threshold", row.threshold},
          {"accuracy", row.accuracy},
          {"interval_95", interval(row.interval)},
          {"llm_share", row.llm_share},
          {"cost_per_1000_requests", row.cost_per_1000},
          {"accuracy_to_llm", row.ratio_to_llm},
          {"calibrated", row.calibrated}};
}

}  // namespace

std::string to_json(const Comparison& comparison) {
  constexpr size_t kConfusions = 50;
  const auto summaries = summarize(comparison);
  Json json{{"task", comparison.task},
            {"data", comparison.data},
            {"n", comparison.n},
            {"labels", comparison.labels.size()},
            {"llm", comparison.llm},
            {"slm", comparison.slm},
            {"price", {{"cpu_hour", comparison.cost.cpu_hour_price}, {"currency", comparison.cost.currency}}},
            {"calibration", nullptr},
            {"candidates", Json::array()},
            {"team", Json::array()},
            {"confusions", Json::array()}};
  if (comparison.calibrated())
    json["calibration"] = {{"threshold", comparison.threshold}, {"target", comparison.target}};
  if (comparison.error > 0) {
    json["calibration"]["error"] = comparison.error;
    json["calibration"]["confidence"] = comparison.confidence;
  }
  for (size_t i = 0; i < summaries.size(); ++i)
    json["candidates"].push_back(candidate_json(comparison, summaries, i));
  for (const auto& row : team_table(comparison)) json["team"].push_back(team_row_json(row));
  for (const auto& confusion : confusions(comparison, kConfusions)) {
    json["confusions"].push_back({{"gold", label_name(comparison, confusion.gold)},
                                  {"predicted", label_name(comparison, confusion.predicted)},
                                  {"count", confusion.count},
                                  {"llm_right", confusion.llm_right}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bantam::eval
