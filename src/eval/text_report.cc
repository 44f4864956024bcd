// to_text of eval/compare.h.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"
#include "eval/compare.h"
#include "eval/report_format.h"
#include "eval/report_rows.h"
#include "eval/summary.h"

namespace bantam::eval {
namespace {

constexpr size_t kWidest = 118;  // a column that would pass this starts another block

std::string pad(std::string_view text, size_t width, bool right) {
  const std::string space(width - std::min(width, utf8_length(text)), ' ');
  return right ? space + std::string(text) : std::string(text) + space;
}

/// Columns of cells, the first left-aligned and the others right-aligned, with a line under the header.
/// Columns that do not fit follow in a further block, the first column repeated.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], utf8_length(row[c]));
  }
  std::string out;
  for (size_t begin = 1; begin < widths.size();) {
    size_t end = begin, total = widths[0];
    while (end < widths.size() && (end == begin || total + 2 + widths[end] <= kWidest))
      total += 2 + widths[end++];
    for (size_t r = 0; r < rows.size(); ++r) {
      std::string line = pad(rows[r][0], widths[0], false);
      for (size_t c = begin; c < end; ++c)
        line += "  " + pad(c < rows[r].size() ? rows[r][c] : "", widths[c], true);
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
      if (r == 0) out += std::string(total, '-') + "\n";
    }
    begin = end;
    if (begin < widths.size()) out += "\n";
  }
  return out;
}

std::string candidates_table(const Comparison& comparison, std::span<const Summary> summaries) {
  std::vector<std::vector<std::string>> rows{{""}};
  for (const auto& candidate : comparison.candidates) rows[0].push_back(candidate.name);
  for (const auto& metric : report_rows(comparison, summaries)) {
    auto& row = rows.emplace_back();
    row.push_back(metric.name);
    for (const auto& cell : metric.cells) {
      row.push_back(cell.ratio.empty() ? cell.value : fmt::format("{} ({})", cell.value, cell.ratio));
    }
  }
  return table(rows);
}

std::string team_text(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows{
      {"Threshold", "LLM calls", "Accuracy", "95 % interval", "Of the LLM's", "Cost per 1,000", ""}};
  for (const auto& row : team_table(comparison)) {
    rows.push_back(
        {fmt::format("{:.4f}", row.threshold), percent_text(row.llm_share), percent_text(row.accuracy, 2),
         interval_text(row.interval), percent_text(row.ratio_to_llm, 2),
         money_text(row.cost_per_1000, comparison.cost.currency), row.calibrated ? "<- calibrated" : ""});
  }
  return table(rows);
}

}  // namespace

std::string to_text(const Comparison& comparison) {
  const auto summaries = summarize(comparison);
  const auto& llm = comparison.candidates[comparison.llm];
  const auto& slm = comparison.candidates[comparison.slm];
  std::string out = fmt::format("{}: {} (SLM) beside {} (LLM) on {} examples of {}\n", comparison.task,
                                slm.name, llm.name, grouped(comparison.n), comparison.data);
  for (const auto& candidate : comparison.candidates) {
    if (!candidate.detail.empty()) out += fmt::format("  {}: {}\n", candidate.name, candidate.detail);
  }
  out += "In brackets: beside the LLM.\n\n" + candidates_table(comparison, summaries) + "\n";
  if (comparison.calibrated()) {
    const TeamRow team = team_at(comparison, comparison.threshold);
    out += fmt::format(
        "The team: the SLM keeps answers with a confidence of {:.4f} and above, the LLM gets the other {}\n"
        "({}).\n",
        comparison.threshold, percent_text(team.llm_share), comparison.promise());
  } else {
    out +=
        "The team: the SLM keeps answers with at least the threshold's confidence, the LLM gets the others\n"
        "(no threshold was calibrated).\n";
  }
  return out + "\n" + team_text(comparison);
}

}  // namespace bantam::eval
