#pragma once
// The figures behind all three forms of the report.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/compare.h"
#include "eval/metrics.h"

namespace bantam::eval {

struct Summary {
  uint64_t n = 0, right = 0;
  double accuracy = 0;
  Interval interval;  // Wilson, 95 %
  double macro_f1 = 0;
  double ece = 0;  // 0 where the candidate gives no confidence
  bool has_confidence = false;
  double latency_p50 = 0, latency_p99 = 0;  // seconds
  double tokens_per_second = 0;             // prompt tokens over wall time; 0 where it reads none
  double cpu = 0;                           // mean CPU seconds a request
  double cost_per_1000 = 0, training_cost = 0;
  PairedRatio to_llm;
};

/// One for each candidate, in order.
std::vector<Summary> summarize(const Comparison& comparison);

/// 1 for each example that the candidate labelled right.
std::vector<uint8_t> right_answers(const Candidate& candidate, std::span<const int32_t> gold);

/// The team at one threshold, without `calibrated`.
TeamRow team_at(const Comparison& comparison, double threshold);
/// The team at every threshold that makes a difference, by rising share of LLM calls: from the SLM alone to
/// the LLM alone; at most `most` of them, evenly chosen.
std::vector<TeamRow> team_curve(const Comparison& comparison, size_t most = 160);

/// A wrong label the SLM gave at least once.
struct Confusion {
  int32_t gold = -1, predicted = -1;
  uint64_t count = 0;
  uint64_t llm_right = 0;  // of these, how many the LLM labels right
  uint64_t passed_on = 0;  // of these, how many the calibrated threshold sends to the LLM
};
/// The SLM's most frequent confusions, then by labels.
std::vector<Confusion> confusions(const Comparison& comparison, size_t most);
/// A label's name; "(none)" for -1.
std::string label_name(const Comparison& comparison, int32_t label);

}  // namespace bantam::eval
