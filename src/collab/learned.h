#pragma once
#include "collab/confidence.h"
#include "model/learned_confidence.h"

namespace bantam::collab {

/// The confidence that a model file carries (bantam calibrate --learned), measured as it was learned. Errors:
/// kInvalidArgument for what ConfidenceMeter::make would refuse.
Result<ConfidenceOptions> confidence_of(const model::LearnedConfidence& learned);

/// The same without the weights: for measuring the signals they are learned from.
Result<ConfidenceOptions> signals_of(const model::LearnedConfidence& learned);

}  // namespace bantam::collab
