#pragma once
// Learning one confidence from several signals of an answer, and what that is worth.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compress/calibrate.h"
#include "compress/confidence.h"
#include "model/learned_confidence.h"

namespace bantam::compress {

/// One held-back example: what was measured of its answer, the confidence it had until now (in [0, 1]), and
/// whether it was right.
struct MeasuredAnswer {
  Signals signals;
  double before = 0;
  bool right = false;
};

struct LearnOptions {
  double fit_share = 0.5;  // of the examples, drawn by `seed`: these fit, the others test
  uint64_t seed = 1;
  /// As CalibrateOptions: a certificate for a threshold on the learned confidence; error 0: none.
  double error = 0, confidence = 0.95;
  std::string reference = "data";
};

struct LearnReport {
  /// The weights, the examples, the calibration errors, the certificate; how signals are measured is the
  /// caller's to fill in.
  model::LearnedConfidence learned;
  double right = 0;                   // share of the tested answers
  std::vector<SignalReport> signals;  // of the tested: "before", each signal that was measured, "learned"
};

/// Fits a Combination on one part of the examples; calibration errors, areas under ROC curves, and with an
/// error the certificate (certify(), whose first part is the one that fitted) are measured on the other.
/// Errors: kInvalidArgument for fewer than 50 examples in either part (with the number needed), and those of
/// Combination::fit and certify().
Result<LearnReport> learn_confidence(std::span<const MeasuredAnswer> answers,
                                     const LearnOptions& options = {});

}  // namespace bantam::compress
