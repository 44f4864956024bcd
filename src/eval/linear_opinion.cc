#include "eval/linear_opinion.h"

#include <algorithm>
#include <cmath>

#include "compress/calibrate.h"

namespace bantam::eval {
namespace {

constexpr double kLeastMargin = -1000;  // in the place of minus infinity, which the fit refuses

}  // namespace

Result<LinearOpinion> LinearOpinion::train(std::span<const formats::Example> examples, size_t labels,
                                           unsigned parts, const ProgressSink& progress,
                                           const std::stop_token& cancel) {
  if (parts < 2)
    return fail(Code::kInvalidArgument, "linear opinion: found {} parts, expected at least 2", parts);
  LinearOpinion out;
  std::vector<uint32_t> seen(labels);
  for (const auto& example : examples) {
    const bool known =
        example.label >= 0 && static_cast<size_t>(example.label) < labels;  // train() refuses the others
    out.part_of_.push_back(known ? seen[static_cast<size_t>(example.label)]++ % parts : 0);
  }
  for (unsigned part = 0; part < parts; ++part) {
    if (progress) progress({"linear opinion", part, parts, ""});
    if (cancel.stop_requested()) return fail(Code::kCancelled, "stopped at part {} of {}", part, parts);
    std::vector<formats::Example> rest;
    for (size_t i = 0; i < examples.size(); ++i) {
      if (out.part_of_[i] != part) rest.push_back(examples[i]);
    }
    BANTAM_ASSIGN(auto model, LinearBaseline::train(rest, labels));
    out.models_.push_back(std::move(model));
  }
  if (progress) progress({"linear opinion", parts, parts, ""});
  std::vector<compress::ScoredExample> scored;
  size_t right = 0;
  for (size_t i = 0; i < examples.size(); ++i) {
    const int32_t gold = examples[i].label;
    auto margins = out.models_[out.part_of_[i]].decision(examples[i].text);
    right += std::ranges::max_element(margins) - margins.begin() == gold ? 1 : 0;
    // A label that a part's training never saw has no margin: nothing can be learned from its examples.
    if (!std::isfinite(margins[static_cast<size_t>(gold)])) continue;
    for (double& margin : margins) margin = std::max(margin, kLeastMargin);
    scored.push_back({std::move(margins), gold, -1});
  }
  out.accuracy_ = static_cast<double>(right) / static_cast<double>(examples.size());
  BANTAM_ASSIGN(out.temperature_, compress::fit_temperature(scored));
  return out;
}

std::vector<float> LinearOpinion::probabilities(size_t item, std::string_view text) const {
  const std::vector<double> margins = models_[part_of_[item]].decision(text);
  const double most = *std::ranges::max_element(margins);
  std::vector<float> out;
  double sum = 0;
  for (const double margin : margins) {
    const double p = std::exp((margin - most) / temperature_);
    sum += p;
    out.push_back(static_cast<float>(p));
  }
  for (float& p : out) p /= static_cast<float>(sum);
  return out;
}

}  // namespace bantam::eval
