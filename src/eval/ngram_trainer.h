#pragma once
// Training of a classifier's n-gram part (model/ngram_part.h).

#include <span>

#include "base/result.h"
#include "eval/linear_opinion.h"
#include "formats/labelled.h"
#include "model/ngram_part.h"

namespace bantam::eval {

/// A linear SVM of hashed n-grams. Its scale is the inverse of `opinion`'s temperature, under which margins
/// of models that have not seen an example make that example's label likeliest: so a margin counts as much as
/// it is worth, and no held-back example is needed to find out. Without an opinion (no label has two
/// examples) it is a usual one. A label without an example never wins by words. Deterministic. Errors: those
/// of check_linear_examples; kUnsupported without BANTAM_LINEAR.
Result<model::NgramWeights> train_ngrams(std::span<const formats::Example> examples, size_t labels,
                                         const model::NgramShape& shape, const LinearOpinion* opinion);

}  // namespace bantam::eval
