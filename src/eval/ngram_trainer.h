#pragma once
// Training of a classifier's n-gram part (model/ngram_part.h).

#include <span>
#include <stop_token>

#include "base/progress.h"
#include "base/result.h"
#include "formats/labelled.h"
#include "model/ngram_part.h"

namespace bantam::eval {

/// A linear SVM of hashed n-grams. Its scale is the inverse of the temperature under which the margins of
/// models that have not seen an example make that example's label likeliest (LinearOpinion), so that a margin
/// counts as much as it is worth and no held-back example is needed to find out. A label without an example
/// never wins by words; where none has two, the scale is a usual one. Deterministic. Errors: those of
/// LinearOpinion::train; kUnsupported without BANTAM_LINEAR.
Result<model::NgramWeights> train_ngrams(std::span<const formats::Example> examples, size_t labels,
                                         const model::NgramShape& shape, const ProgressSink& progress = {},
                                         const std::stop_token& cancel = {});

}  // namespace bantam::eval
