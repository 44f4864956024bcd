// The linear baseline of a build without it: every training says so.

#include "eval/linear_baseline.h"
#include "eval/ngram_trainer.h"

namespace bantam::eval {

struct LinearBaseline::Impl {};

LinearBaseline::LinearBaseline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearBaseline::LinearBaseline(LinearBaseline&&) noexcept = default;
LinearBaseline& LinearBaseline::operator=(LinearBaseline&&) noexcept = default;
LinearBaseline::~LinearBaseline() = default;

Result<LinearBaseline> LinearBaseline::train(std::span<const formats::Example>, size_t,
                                             const LinearOptions&) {
  return fail(Code::kUnsupported,
              "the linear baseline is not in this program: it was built with BANTAM_LINEAR=OFF");
}

// Nothing trains one, so that nothing comes here.
int32_t LinearBaseline::predict(std::string_view) const { return 0; }
std::vector<double> LinearBaseline::decision(std::string_view) const { return {}; }
uint64_t LinearBaseline::features() const { return 0; }
uint64_t LinearBaseline::parameters() const { return 0; }
uint64_t LinearBaseline::bytes() const { return 0; }

Result<model::NgramWeights> train_ngrams(std::span<const formats::Example>, size_t, const model::NgramShape&,
                                         const LinearOpinion*) {
  return fail(Code::kUnsupported,
              "an n-gram part cannot be trained by this program: it was built with BANTAM_LINEAR=OFF");
}

}  // namespace bantam::eval
