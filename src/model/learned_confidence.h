#pragma once
// A confidence made of several signals of an answer, learned on held-back examples: the bantam.confidence.*
// metadata. It says how each signal is measured, so that a team measures it as it was learned.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "model/certificate.h"

namespace bantam::model {

struct LearnedConfidence {
  std::vector<double> weights;  // what compress::Combination::weights() gave, each a whole float
  uint32_t samples = 0;         // further answers that are compared with the first
  double sample_temperature = 0.8;
  std::string agreement = "normalised";  // how: "normalised", "equal", "words"
  double agreement_bound = 0.8;          // of "words"
  bool self_check = false;               // the model is asked whether it is right
  std::string self_check_prompt = {}, yes = "yes", no = "no";
  uint64_t fitted = 0, tested = 0;  // examples the weights were fitted on; others, behind what follows
  double ece_before = 0;            // of the confidence without the weights
  double ece_after = 0;
  std::optional<Certificate> certificate = {};  // of a threshold on this confidence
};

/// nullopt for a file without bantam.confidence.weights. Errors: kCorrupt naming file and key.
Result<std::optional<LearnedConfidence>> read_learned_confidence(const formats::GgufFile& file);
/// Writes the keys, or removes them.
void write_learned_confidence(const std::optional<LearnedConfidence>& learned, formats::GgufWriter& file);

}  // namespace bantam::model
