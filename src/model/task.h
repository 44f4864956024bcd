#pragma once
// The bantam.* metadata: what the model was made for, how far its confidence can be trusted, and where it
// came from.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "model/certificate.h"

namespace bantam::model {

/// Where the user's text goes in a prompt.
inline constexpr std::string_view kInputPlace = "{input}";

/// Learned on data held back from training.
struct Calibration {
  double temperature = 1.0;  // choice scores are divided by it before the softmax
  double threshold = 0.0;    // answers at least this confident are kept; others go to the LLM
  double target =
      0.0;  // the accuracy, as a share of the LLM's, that the threshold was chosen for; 0: not calibrated
  uint64_t examples = 0;
  double ece_before = 0.0,
         ece_after = 0.0;  // expected calibration error, 15 equal-width bins (Guo et al. 2017)
};

struct Task {
  std::string name = {};  // "tickets"
  std::string kind = "classify";
  std::vector<std::string> labels = {};   // what the caller sees
  std::vector<std::string> choices = {};  // what the model says for each label; usually the label itself
  /// "{input}" is replaced by the user's text; control tokens elsewhere in it are parsed.
  std::string prompt = "{input}";
  Calibration calibration = {};
  std::optional<Certificate> certificate = {};  // of calibration.threshold, where it has one
  std::string provenance = {};  // a JSON object: data hash, teacher, seed, what each step kept

  /// Whether calibration.threshold was tested, for a target or for a certificate.
  bool calibrated() const { return calibration.target > 0 || certificate.has_value(); }
};

/// nullopt for a file without bantam.task.kind. Errors: kCorrupt (labels and choices of different length,
/// empty, repeated; a prompt without "{input}"; temperature not positive; a share outside 0..1).
Result<std::optional<Task>> read_task(const formats::GgufFile& file);
void write_task(const Task& task, formats::GgufWriter& file);

}  // namespace bantam::model
