#include "eval/linear_opinion.h"

#include <algorithm>
#include <cmath>

namespace bantam::eval {
namespace {

/// In place: margins to probabilities.
void soften(std::vector<double>& margins, double scale) {
  const double most = *std::ranges::max_element(margins);
  double sum = 0;
  for (double& m : margins) sum += m = std::exp(scale * (m - most));
  for (double& m : margins) m /= sum;
}

/// Mean -ln p of the labels. A label that a part's training never saw has probability 0: it counts as one in
/// a million.
double surprise(const std::vector<std::vector<double>>& margins, std::span<const formats::Example> examples,
                double scale) {
  double sum = 0;
  for (size_t i = 0; i < margins.size(); ++i) {
    std::vector<double> p = margins[i];
    soften(p, scale);
    sum -= std::log(std::max(1e-6, p[static_cast<size_t>(examples[i].label)]));
  }
  return sum / static_cast<double>(margins.size());
}

}  // namespace

Result<LinearOpinion> LinearOpinion::train(std::span<const formats::Example> examples, size_t labels,
                                           unsigned parts) {
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
    std::vector<formats::Example> rest;
    for (size_t i = 0; i < examples.size(); ++i) {
      if (out.part_of_[i] != part) rest.push_back(examples[i]);
    }
    BANTAM_ASSIGN(auto model, LinearBaseline::train(rest, labels));
    out.models_.push_back(std::move(model));
  }
  std::vector<std::vector<double>> margins;
  size_t right = 0;
  for (size_t i = 0; i < examples.size(); ++i) {
    margins.push_back(out.models_[out.part_of_[i]].decision(examples[i].text));
    const auto best = std::ranges::max_element(margins.back()) - margins.back().begin();
    right += best == examples[i].label ? 1 : 0;
  }
  out.accuracy_ = static_cast<double>(right) / static_cast<double>(examples.size());
  double best = surprise(margins, examples, 1);
  for (double scale = 1.25; scale < 200; scale *= 1.25) {
    const double here = surprise(margins, examples, scale);
    if (here >= best) break;  // convex in the scale
    best = here;
    out.scale_ = scale;
  }
  return out;
}

std::vector<float> LinearOpinion::probabilities(size_t item, std::string_view text) const {
  std::vector<double> margins = models_[part_of_[item]].decision(text);
  soften(margins, scale_);
  return {margins.begin(), margins.end()};
}

}  // namespace bantam::eval
