#pragma once
// The charts of the HTML report, each an <svg> element.

#include <span>
#include <string>

#include "eval/compare.h"
#include "eval/summary.h"

namespace bantam::eval {

std::string chart_accuracy_bytes(const Comparison& comparison, std::span<const Summary> summaries);
std::string chart_accuracy_cpu(const Comparison& comparison, std::span<const Summary> summaries);
std::string chart_team(const Comparison& comparison, std::span<const Summary> summaries);
std::string chart_reliability(const Comparison& comparison);

}  // namespace bantam::eval
