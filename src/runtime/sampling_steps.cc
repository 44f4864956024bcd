#include "runtime/sampling_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bantam::runtime {
namespace {

float largest_logit(std::span<const Candidate> candidates) {
  return std::min_element(candidates.begin(), candidates.end(), likelier)->first;
}

double denominator(std::span<const Candidate> candidates, float most) {
  double total = 0;
  for (const auto& candidate : candidates) total += std::exp(double{candidate.first} - most);
  return total;
}

/// Puts the sum back to 1.
void normalise(std::vector<Candidate>& probabilities) {
  double total = 0;
  for (const auto& [p, id] : probabilities) total += p;
  for (auto& [p, id] : probabilities) p = static_cast<float>(p / total);
}

}  // namespace

bool likelier(const Candidate& a, const Candidate& b) {
  if (std::isnan(a.first) || std::isnan(b.first)) {
    return std::isnan(a.first) == std::isnan(b.first) ? a.second < b.second : std::isnan(b.first);
  }
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

void keep_top_k(std::vector<Candidate>& candidates, size_t k) {
  if (k >= candidates.size()) return;
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(k), candidates.end(),
                    likelier);
  candidates.resize(k);
}

void keep_top_p(std::vector<Candidate>& candidates, double p) {
  const float most = largest_logit(candidates);
  const double total = denominator(candidates, most);
  size_t sorted = 0;  // sorts only as far as it takes
  double reached = 0;
  for (size_t kept = 0; kept < candidates.size(); ++kept) {
    if (kept == sorted) {
      const size_t next = std::min(candidates.size(), std::max<size_t>(64, 4 * sorted));
      std::partial_sort(candidates.begin() + static_cast<std::ptrdiff_t>(sorted),
                        candidates.begin() + static_cast<std::ptrdiff_t>(next), candidates.end(), likelier);
      sorted = next;
    }
    reached += std::exp(double{candidates[kept].first} - most);
    if (reached >= p * total) return candidates.resize(kept + 1);
  }
}

void keep_min_p(std::vector<Candidate>& candidates, double share) {
  const double least = largest_logit(candidates) + std::log(share);
  std::erase_if(candidates, [least](const Candidate& candidate) { return !(candidate.first >= least); });
}

double entropy(std::span<const Candidate> candidates) {
  const float most = largest_logit(candidates);
  const double total = denominator(candidates, most);
  double mean = 0;  // of the logit, under the distribution
  for (const auto& [logit, id] : candidates) {
    const double x = double{logit} - most, e = std::exp(x);
    if (e > 0) mean += e / total * x;
  }
  return std::log(total) - mean;
}

void keep_typical(std::vector<Candidate>& candidates, double p) {
  const float most = largest_logit(candidates);
  const double total = denominator(candidates, most), wanted = entropy(candidates);
  std::vector<std::pair<double, Candidate>> distance;
  for (const auto& candidate : candidates) {
    const double surprise = std::log(total) - (double{candidate.first} - most);
    distance.emplace_back(
        std::isfinite(surprise) ? std::abs(surprise - wanted) : std::numeric_limits<double>::infinity(),
        candidate);
  }
  std::ranges::sort(distance, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : likelier(a.second, b.second);
  });
  double reached = 0;
  candidates.clear();
  for (const auto& [away, candidate] : distance) {
    candidates.push_back(candidate);
    reached += std::exp(double{candidate.first} - most) / total;
    if (reached > p) return;
  }
}

void keep_top_n_sigma(std::vector<Candidate>& candidates, double n) {
  double sum = 0, squares = 0;
  size_t count = 0;
  for (const auto& [logit, id] : candidates) {
    if (!std::isfinite(logit)) continue;
    sum += logit;
    ++count;
  }
  if (count == 0) return;
  const double mean = sum / static_cast<double>(count);
  for (const auto& [logit, id] : candidates) {
    if (std::isfinite(logit)) squares += (logit - mean) * (logit - mean);
  }
  const double least = largest_logit(candidates) - n * std::sqrt(squares / static_cast<double>(count));
  std::erase_if(candidates, [least](const Candidate& candidate) { return !(candidate.first >= least); });
}

void exclude_top_choices_above(std::vector<Candidate>& candidates, double threshold) {
  const float most = largest_logit(candidates);
  const double total = denominator(candidates, most);
  const auto above = [&](const Candidate& c) {
    return std::exp(double{c.first} - most) >= threshold * total;
  };
  const Candidate* last = nullptr;
  size_t count = 0;
  for (const auto& candidate : candidates) {
    if (!above(candidate)) continue;
    ++count;
    if (last == nullptr || likelier(*last, candidate)) last = &candidate;
  }
  if (count < 2) return;
  const TokenId kept = last->second;
  std::erase_if(candidates, [&](const Candidate& c) { return c.second != kept && above(c); });
}

void to_probabilities(std::vector<Candidate>& candidates, double temperature) {
  const float most = largest_logit(candidates);
  const auto weight = [&](float logit) { return std::exp((double{logit} - most) / temperature); };
  double total = 0;
  for (const auto& [logit, id] : candidates) total += std::isnan(logit) ? 0 : weight(logit);
  for (auto& [logit, id] : candidates) {
    logit = std::isnan(logit) ? 0.0F : static_cast<float>(weight(logit) / total);
  }
}

void keep_surprise_v1(std::vector<Candidate>& probabilities, double mu, size_t vocabulary) {
  constexpr size_t kEstimatedFrom = 100;
  std::ranges::sort(probabilities, likelier);
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < std::min(kEstimatedFrom, probabilities.size()); ++i) {
    if (!(probabilities[i + 1].first > 0)) break;
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    products += t * std::log(double{probabilities[i].first} / probabilities[i + 1].first);
    squares += t * t;
  }
  if (squares == 0) return;
  const double s = products / squares, e = s - 1;
  const double k = std::pow(e * std::exp2(mu) / (1 - std::pow(static_cast<double>(vocabulary), -e)), 1 / s);
  const size_t kept =
      k >= 1 ? static_cast<size_t>(std::min(k, static_cast<double>(probabilities.size()))) : 1;
  if (std::isfinite(k) && kept < probabilities.size()) probabilities.resize(kept);
  normalise(probabilities);
}

void keep_surprise_v2(std::vector<Candidate>& probabilities, double mu) {
  const Candidate best = *std::ranges::min_element(probabilities, likelier);
  std::erase_if(probabilities, [mu](const Candidate& c) { return !(-std::log2(double{c.first}) <= mu); });
  if (probabilities.empty()) probabilities.push_back(best);
  normalise(probabilities);
}

std::unordered_map<TokenId, size_t> repetition_lengths(std::span<const TokenId> tokens, size_t limit) {
  const size_t n = tokens.size();
  std::unordered_map<TokenId, size_t> out;
  if (n < 2 || limit == 0) return out;
  // same[i]: how many tokens from i backwards equal those from the end backwards, by the Z algorithm on the
  // reversed sequence (Gusfield 1997, section 1.4).
  const auto at = [&](size_t i) { return tokens[n - 1 - i]; };
  std::vector<size_t> same(n, 0);
  size_t left = 0, right = 0;
  for (size_t i = 1; i < n; ++i) {
    size_t z = i < right ? std::min(right - i, same[i - left]) : 0;
    while (i + z < n && at(z) == at(i + z)) ++z;
    same[i] = z;
    if (i + z > right) {
      left = i;
      right = i + z;
    }
  }
  for (size_t i = 1; i < n; ++i) {
    const size_t length = std::min(same[i], limit);
    if (length > 0) out[at(i - 1)] = std::max(out[at(i - 1)], length);
  }
  return out;
}

}  // namespace bantam::runtime
