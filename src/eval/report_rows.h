#pragma once
// The comparison's table, one row a metric and one cell a candidate, before it becomes text or HTML.

#include <span>
#include <string>
#include <vector>

#include "eval/compare.h"
#include "eval/summary.h"

namespace bantam::eval {

struct ReportCell {
  std::string value;  // "29.6 MB"; "-" where it does not apply
  std::string ratio;  // to the LLM: "1/28"; empty in the LLM's own column
};
struct ReportRow {
  std::string name;
  std::vector<ReportCell> cells;
  bool detail = false;  // belongs to the row above, such as an interval
};
std::vector<ReportRow> report_rows(const Comparison& comparison, std::span<const Summary> summaries);

}  // namespace bantam::eval
