#include "collab/learned.h"

namespace bantam::collab {

Result<ConfidenceOptions> signals_of(const model::LearnedConfidence& learned) {
  ConfidenceOptions out;
  out.samples = learned.samples;
  out.sample_temperature = static_cast<float>(learned.sample_temperature);
  if (learned.agreement == "normalised") {
    out.agreement.measure = Measure::kNormalised;
  } else if (learned.agreement == "equal") {
    out.agreement.measure = Measure::kEqual;
  } else if (learned.agreement == "words") {
    out.agreement.measure = Measure::kWords;
  } else {
    return fail(Code::kInvalidArgument,
                "agreement: found \"{}\", expected \"normalised\", \"equal\" or \"words\"",
                learned.agreement);
  }
  out.agreement.bound = learned.agreement_bound;
  out.self_check = learned.self_check;
  out.self_check_prompt = learned.self_check_prompt;
  out.yes = learned.yes;
  out.no = learned.no;
  return out;
}

Result<ConfidenceOptions> confidence_of(const model::LearnedConfidence& learned) {
  BANTAM_ASSIGN(ConfidenceOptions out, signals_of(learned));
  out.by = ConfidenceBy::kLearned;
  out.weights = learned.weights;
  return out;
}

}  // namespace bantam::collab
