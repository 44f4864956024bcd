#include "runtime/sampling.h"

#include <algorithm>
#include <cmath>

namespace bantam::runtime {
namespace {

using Candidate = std::pair<float, TokenId>;  // logit, token

/// Larger logits first, then smaller ids; anything before NaN, so that the order is total.
bool before(const Candidate& a, const Candidate& b) {
  if (std::isnan(a.first) || std::isnan(b.first)) {
    return std::isnan(a.first) == std::isnan(b.first) ? a.second < b.second : std::isnan(b.first);
  }
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

TokenId largest(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || std::isnan(logits[best])) best = i;
  }
  return static_cast<TokenId>(best);
}

/// Keeps the smallest set of most probable candidates whose probability reaches p (Holtzman et al. 2019).
/// Sorts only as far as that takes.
void keep_top_p(std::vector<Candidate>& candidates, double p) {
  const float most = std::min_element(candidates.begin(), candidates.end(), before)->first;
  double total = 0;
  for (const auto& candidate : candidates) total += std::exp(candidate.first - most);
  size_t sorted = 0;
  double reached = 0;
  for (size_t kept = 0; kept < candidates.size(); ++kept) {
    if (kept == sorted) {
      const size_t next = std::min(candidates.size(), std::max<size_t>(64, 4 * sorted));
      std::partial_sort(candidates.begin() + sorted, candidates.begin() + next, candidates.end(), before);
      sorted = next;
    }
    reached += std::exp(candidates[kept].first - most);
    if (reached >= p * total) return candidates.resize(kept + 1);
  }
}

}  // namespace

Status check(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    return fail(Code::kInvalidArgument, "temperature: found {}, expected 0 to 100", options.temperature);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return fail(Code::kInvalidArgument, "top_p: found {}, expected above 0, at most 1", options.top_p);
  }
  if (!(options.min_p >= 0 && options.min_p <= 1)) {
    return fail(Code::kInvalidArgument, "min_p: found {}, expected 0 to 1", options.min_p);
  }
  return {};
}

Sampler::Sampler(SamplingOptions options) : options_(options), rng_(options.seed) {}

TokenId Sampler::sample(std::span<const float> logits) {
  if (options_.temperature == 0 || options_.top_k == 1) return largest(logits);
  scratch_.clear();
  for (size_t i = 0; i < logits.size(); ++i) scratch_.emplace_back(logits[i], static_cast<TokenId>(i));
  if (options_.top_k > 0 && options_.top_k < scratch_.size()) {
    std::partial_sort(scratch_.begin(), scratch_.begin() + options_.top_k, scratch_.end(), before);
    scratch_.resize(options_.top_k);
  }
  if (options_.top_p < 1) keep_top_p(scratch_, options_.top_p);
  const float most = std::min_element(scratch_.begin(), scratch_.end(), before)->first;
  if (options_.min_p > 0) {  // p >= min_p * largest p, as logits
    const float least = most + std::log(options_.min_p);
    std::erase_if(scratch_, [least](const Candidate& candidate) { return !(candidate.first >= least); });
  }
  if (scratch_.empty() || std::isnan(most)) return largest(logits);
  double total = 0;
  const auto weight = [&](const Candidate& c) {
    return std::exp(double{c.first - most} / options_.temperature);
  };
  for (const auto& candidate : scratch_) total += weight(candidate);
  double left = rng_.uniform() * total;
  for (const auto& candidate : scratch_) {
    left -= weight(candidate);
    if (left < 0) return candidate.second;
  }
  return scratch_.back().second;  // rounding only
}

}  // namespace bantam::runtime
