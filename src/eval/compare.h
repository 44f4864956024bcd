#pragma once
// The SLM beside the LLM on one labelled task: parameters, memory, latency, accuracy, training cost, cost per
// 1,000 requests, and the team's table. Printed as text, JSON and HTML.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "eval/linear_baseline.h"
#include "eval/metrics.h"
#include "formats/labelled.h"
#include "runtime/engine.h"

namespace bantam::eval {

struct Prediction {
  int32_t label = -1;
  double confidence = 0;
  double latency = 0;  // wall seconds
  double cpu = 0;      // CPU seconds
  uint32_t prompt_tokens = 0;
};

/// Classifies each example once, in order, after `warmup` uncounted ones, in one session. Engine with threads
/// = 1 gives CPU times that can be compared. Errors: those of Engine::classify, with the example's line.
Result<std::vector<Prediction>> predict_all(const runtime::Engine& engine,
                                            std::span<const formats::Example> examples,
                                            const ProgressSink& progress = {}, size_t warmup = 20);

/// The same for the linear baseline. Its confidence is 0 (margins are no probabilities), and it reads no
/// tokens.
std::vector<Prediction> predict_all(const LinearBaseline& baseline,
                                    std::span<const formats::Example> examples, size_t warmup = 20);

/// One column of the comparison: a model file, or the linear baseline (parameters = weights).
struct Candidate {
  std::string name;    // "teacher", "student", "linear baseline", "quantized alone", …
  std::string detail;  // "llama, 4 layers x 256, F32"
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  uint64_t memory_bytes = 0;  // weights + KV cache + buffers (MemoryPlan::computed)
  double training_cpu_seconds = 0;
  std::vector<Prediction> predictions;  // on the same validation examples, in the same order
};

struct CostModel {
  double cpu_hour_price = 0.04;  // money per CPU-hour
  std::string currency = "USD";
};

/// One row of the cascade's table: what happens if the SLM keeps answers at least this confident.
struct TeamRow {
  double threshold = 0;
  double accuracy = 0;
  Interval interval;
  double llm_share = 0;      // of requests
  double cost_per_1000 = 0;  // CPU time of both models at the hourly price
  double ratio_to_llm = 0;   // accuracy / the LLM's
  bool calibrated = false;   // this is the threshold from the model's calibration
};

/// REQUIRES for all that takes one: every candidate's predictions and `gold` have n entries; llm and slm are
/// indices of candidates.
struct Comparison {
  std::string task;
  std::string data;  // file name and part: "train.csv, validation part"
  uint64_t n = 0;
  CostModel cost;
  std::vector<Candidate> candidates;  // [llm] and [slm] are indices
  size_t llm = 0, slm = 0;
  std::vector<int32_t> gold;
  std::vector<std::string> labels;
  double threshold = 0, target = 0;  // the SLM's calibration
  /// Or its certificate: with this confidence at most this share of the answers kept is wrong. 0: none.
  double error = 0, confidence = 0;

  bool calibrated() const { return target > 0 || error > 0; }
  /// What the threshold was tested for: "calibrated for 99 % of the LLM's accuracy".
  std::string promise() const;
};

/// The rows for a grid of thresholds plus the calibrated one (marked), thresholds ascending.
std::vector<TeamRow> team_table(const Comparison& comparison);

/// Terminal tables; JSON (schema in docs/formats.md); one self-contained HTML page with SVG charts (accuracy
/// against bytes, accuracy against CPU time, team accuracy against LLM share, reliability diagram, confusions
/// most often made).
std::string to_text(const Comparison& comparison);
std::string to_json(const Comparison& comparison);
std::string to_html(const Comparison& comparison);

}  // namespace bantam::eval
