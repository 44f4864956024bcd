#pragma once
// What lets a team trust a small model: a temperature that makes its confidence mean what it says, and a
// threshold on that confidence above which its answers may stand in for the large model's.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compress/certify.h"
#include "model/task.h"

namespace bantam::compress {

/// One held-back example: the SLM's score of each label (runtime::Choice::scores), the right label, the LLM's
/// answer (-1: none).
struct ScoredExample {
  std::vector<double> scores;
  int32_t gold = -1;
  int32_t llm_label = -1;
};

/// The temperature T in [0.05, 20] that minimises the mean of -log softmax(scores / T)[gold] (Guo et al.
/// 2017), by golden-section search over log T: the loss is convex in 1/T, so it has one minimum. Errors:
/// kInvalidArgument naming the example for scores that are empty, not finite or of different lengths, or a
/// gold label outside them; for no examples.
Result<double> fit_temperature(std::span<const ScoredExample> examples);

/// One answer of each model to the same request.
struct PairedAnswer {
  double confidence = 0;  // the SLM's, in [0, 1]
  bool slm_right = false, llm_right = false;
};

/// The threshold with the largest local share among those that were shown to keep the wanted accuracy.
struct Threshold {
  double threshold = 1;    // the SLM's answer is kept at this confidence and above
  double local_share = 0;  // of the examples
  uint64_t losses = 0;     // kept answers that are wrong where the LLM's is right
  uint64_t gains = 0;      // kept answers that are right where the LLM's is wrong
  uint64_t examples = 0;
  double p_value = 1;  // of the hypothesis "the team falls short at this threshold"
  double llm_accuracy_low = 0;
};

/// Chooses the threshold t for "the team's accuracy is at least `target` times the LLM's", where the team
/// answers with the SLM at confidence >= t and with the LLM below. On fresh data of the same distribution the
/// chosen threshold misses the target with a probability of at most `miss`, over the draw of `answers`:
/// - the team falls short exactly when P(loss) - P(gain) > (1 - target) * accuracy(LLM); the accuracy is
/// replaced by a lower
///   Clopper-Pearson bound of error 0.1 * `miss`, and the rest is tested at 0.9 * `miss` by
///   noninferiority_p (exact, paired);
/// - thresholds are tested in the fixed order of threshold_grid(), from the strictest down, and the first
/// failure ends it
///   (fixed-sequence testing: each test may spend the whole error; Angelopoulos et al. 2021, "Learn then
///   Test").
/// The promise needs `answers` independent of what the SLM, its temperature and the LLM were made from.
/// Errors: kInvalidArgument for target or miss outside (0, 1), a confidence outside [0, 1], too few answers
/// for any threshold to pass (with the number needed), and an SLM whose surest answers already lose too much
/// (with the counts).
Result<Threshold> choose_threshold(std::span<const PairedAnswer> answers, double target, double miss = 0.05);

/// The thresholds tried, strictest first: 1, then equal steps of log-odds from 0.9999 down to 0.01, then 0.
/// Fixed beforehand, as the test demands.
std::span<const double> threshold_grid();

struct CalibrateOptions {
  double target = 0.99;  // share of the LLM's accuracy; 0: no such threshold
  /// Share of the answers kept that may be wrong (certify()); 0: no such threshold. At most one of the two.
  double error = 0;
  double confidence = 0.95;        // that the threshold keeps its promise
  std::string reference = "data";  // what `gold` is, for the certificate: "data", or "llm" for its answers
  double temperature_share =
      0.2;  // of the examples, drawn by `seed`; the others choose the threshold and give the errors
  uint64_t seed = 1;
};

/// How well one reading of the SLM's scores tells right answers from wrong ones, on the examples that test.
struct SignalReport {
  std::string name;  // "probability", "margin", "entropy", "combination" (compress/confidence.h)
  double auroc = 0.5;
  double ece_raw = 0;       // of the reading as it is; entropy counts as 1 - entropy
  double ece_isotonic = 0;  // after an isotonic map fitted on the other part
};

struct CalibrationReport {
  model::Calibration calibration;
  Threshold threshold;                                 // as default when target is 0
  std::optional<model::Certificate> certificate = {};  // when error is not 0
  uint64_t fitted = 0;                                 // examples of `calibration` that only fitted
  std::vector<SignalReport> signals;  // none where every answer that fitted is right, or wrong
  double nll_before = 0,
         nll_after = 0;  // mean negative log-likelihood on the examples the temperature was not fitted on
};

/// fit_temperature on one part of the examples, then choose_threshold with the tempered confidence on the
/// other, or certify() on both; the calibration errors are measured on the other part too. Errors: those of
/// these; kInvalidArgument for fewer than 100 examples in either part (with the number needed), and for both
/// a target and an error.
Result<CalibrationReport> calibrate(std::span<const ScoredExample> examples,
                                    const CalibrateOptions& options = {});

/// softmax(scores / temperature): its largest entry and where it is (the first of equals).
struct Answer {
  int32_t label = -1;
  double confidence = 0;
};
Answer tempered_answer(std::span<const double> scores, double temperature);

}  // namespace bantam::compress
