#pragma once
// The promise that a threshold carries: "of the answers kept at this confidence and above, at most so many
// are wrong", and what is needed to notice that it no longer holds.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::model {

/// P(error | confidence >= threshold) <= error, with probability `confidence` over the draw of the examples.
struct Certificate {
  double error = 0, confidence = 0;
  double threshold = 1;
  std::string reference = "data";  // what an error is: "data" a wrong label, "llm" an answer unlike the LLM's
  /// Tested; of them at or above the threshold; wrong among these.
  uint64_t examples = 0, kept = 0, errors = 0;
  double bound = 1;  // the upper Clopper-Pearson bound of errors / kept at `confidence`
  /// How confidences were distributed: counts of the tested examples between ascending edges that were chosen
  /// on other examples; one count more than edges. Both empty: not recorded.
  std::vector<double> drift_edges = {};
  std::vector<uint64_t> drift_counts = {};
};

/// The problem with a certificate from outside, none for a sound one. Errors: kCorrupt naming the field, what
/// was found and what was expected.
Status check(const Certificate& certificate);

/// The bantam.certificate.* keys; nullopt for a file without them. Errors: kCorrupt naming file and key.
Result<std::optional<Certificate>> read_certificate(const formats::GgufFile& file);
/// Writes the keys, or removes them.
void write_certificate(const std::optional<Certificate>& certificate, formats::GgufWriter& file);

}  // namespace bantam::model
