#include "eval/report_rows.h"

#include <fmt/format.h>

#include <functional>

#include "eval/report_format.h"

namespace bantam::eval {
namespace {

/// Adds rows whose cells come from a candidate and its summary.
class Rows {
 public:
  Rows(const Comparison& comparison, std::span<const Summary> summaries)
      : comparison_(comparison), summaries_(summaries) {}

  using Value = std::function<double(const Candidate&, const Summary&)>;
  using Text = std::function<std::string(double)>;
  /// A quantity with its ratio to the LLM's; "-" where it is 0, that is, unknown.
  void quantity(std::string name, const Value& value, const Text& text) {
    ReportRow row{.name = std::move(name), .cells = {}};
    const double reference = value(comparison_.candidates[comparison_.llm], summaries_[comparison_.llm]);
    for (size_t i = 0; i < summaries_.size(); ++i) {
      const double v = value(comparison_.candidates[i], summaries_[i]);
      row.cells.push_back({v > 0 ? text(v) : "-", i == comparison_.llm ? "" : ratio_text(v, reference)});
    }
    rows_.push_back(std::move(row));
  }
  void plain(const char* name, bool detail, const std::function<std::string(size_t, const Summary&)>& text) {
    ReportRow row{.name = name, .cells = {}, .detail = detail};
    for (size_t i = 0; i < summaries_.size(); ++i) row.cells.push_back({text(i, summaries_[i]), ""});
    rows_.push_back(std::move(row));
  }
  std::vector<ReportRow> take() { return std::move(rows_); }

 private:
  const Comparison& comparison_;
  std::span<const Summary> summaries_;
  std::vector<ReportRow> rows_;
};

std::string p_text(double p) { return p < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p); }

}  // namespace

std::vector<ReportRow> report_rows(const Comparison& comparison, std::span<const Summary> summaries) {
  const size_t llm = comparison.llm;
  const auto money = [](double amount) { return significant(amount); };
  const std::string& currency = comparison.cost.currency;
  Rows rows(comparison, summaries);
  rows.quantity(
      "Parameters", [](const auto& c, const auto&) { return static_cast<double>(c.parameters); }, count_text);
  rows.quantity(
      "File", [](const auto& c, const auto&) { return static_cast<double>(c.file_bytes); }, bytes_text);
  rows.quantity(
      "Memory", [](const auto& c, const auto&) { return static_cast<double>(c.memory_bytes); }, bytes_text);
  rows.quantity(
      "Latency p50", [](const auto&, const auto& s) { return s.latency_p50; }, seconds_text);
  rows.quantity(
      "Latency p99", [](const auto&, const auto& s) { return s.latency_p99; }, seconds_text);
  rows.quantity(
      "Tokens/s", [](const auto&, const auto& s) { return s.tokens_per_second; }, count_text);
  rows.quantity(
      "CPU per request", [](const auto&, const auto& s) { return s.cpu; }, seconds_text);
  rows.plain("Accuracy", false, [](size_t, const Summary& s) { return percent_text(s.accuracy, 2); });
  rows.plain("  95 % interval", true, [](size_t, const Summary& s) { return interval_text(s.interval); });
  rows.plain("  n right of n", true, [](size_t, const Summary& s) {
    return fmt::format("{} of {}", grouped(s.right), grouped(s.n));
  });
  rows.plain("Macro F1", false, [](size_t, const Summary& s) { return percent_text(s.macro_f1, 2); });
  rows.plain("Of the LLM's accuracy", false, [=](size_t i, const Summary& s) {
    return i == llm ? "100 %" : percent_text(s.to_llm.ratio, 2);
  });
  rows.plain("  95 % interval, paired", true,
             [=](size_t i, const Summary& s) { return i == llm ? "-" : interval_text(s.to_llm.interval); });
  rows.plain("  McNemar p", true,
             [=](size_t i, const Summary& s) { return i == llm ? "-" : p_text(s.to_llm.mcnemar_p); });
  rows.plain("Calibration error", false, [](size_t, const Summary& s) {
    return s.has_confidence ? percent_text(s.ece, 2) : std::string("-");
  });
  rows.quantity(
      "Training CPU", [](const auto& c, const auto&) { return c.training_cpu_seconds; }, seconds_text);
  rows.quantity(
      fmt::format("Training cost, {}", currency), [](const auto&, const auto& s) { return s.training_cost; },
      money);
  rows.quantity(
      fmt::format("Cost per 1,000, {}", currency), [](const auto&, const auto& s) { return s.cost_per_1000; },
      money);
  return rows.take();
}

}  // namespace bantam::eval
