#include "eval/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace bantam::eval {
namespace {

/// How many examples are of each kind: all that the ratio, and a resample of it, depend on.
struct Counts {
  uint64_t both = 0, only_a = 0, only_b = 0, neither = 0;
  uint64_t a() const { return both + only_a; }
  uint64_t b() const { return both + only_b; }
  uint64_t n() const { return both + only_a + only_b + neither; }
};

Counts count_pairs(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  Counts counts;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] && b[i]) ++counts.both;
    if (a[i] && !b[i]) ++counts.only_a;
    if (!a[i] && b[i]) ++counts.only_b;
    if (!a[i] && !b[i]) ++counts.neither;
  }
  return counts;
}

Counts resample(const Counts& counts, Rng& rng) {
  Counts drawn;
  const uint64_t n = counts.n();
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t at = rng.below(n);
    if (at < counts.both) {
      ++drawn.both;
    } else if (at < counts.both + counts.only_a) {
      ++drawn.only_a;
    } else if (at < counts.both + counts.only_a + counts.only_b) {
      ++drawn.only_b;
    } else {
      ++drawn.neither;
    }
  }
  return drawn;
}

double success_ratio(const Counts& counts) {
  return counts.b() == 0 ? 0 : static_cast<double>(counts.a()) / static_cast<double>(counts.b());
}

}  // namespace

double mcnemar_exact(uint64_t only_a, uint64_t only_b) {
  return std::min(1.0, 2 * binomial_cdf(std::min(only_a, only_b), only_a + only_b, 0.5));
}

PairedRatio paired_ratio(std::span<const uint8_t> a, std::span<const uint8_t> b, uint64_t seed) {
  constexpr int kResamples = 10000;
  const Counts counts = count_pairs(a, b);
  PairedRatio result;
  result.n = counts.n();
  result.only_a = counts.only_a;
  result.only_b = counts.only_b;
  result.ratio = success_ratio(counts);
  result.mcnemar_p = mcnemar_exact(counts.only_a, counts.only_b);
  if (counts.b() == 0) return result;
  Rng rng(seed);
  std::vector<double> ratios(kResamples);
  for (double& r : ratios) r = success_ratio(resample(counts, rng));
  result.interval = {quantile(ratios, 0.025), quantile(ratios, 0.975)};
  return result;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  if (below + 1 >= values.size()) return values.back();
  return values[below] + (place - static_cast<double>(below)) * (values[below + 1] - values[below]);
}

double macro_f1(std::span<const int32_t> predicted, std::span<const int32_t> gold, size_t labels) {
  struct Tally {
    uint64_t right = 0, predicted = 0, gold = 0;
  };
  std::vector<Tally> tallies(labels);
  const auto known = [labels](int32_t label) { return label >= 0 && static_cast<size_t>(label) < labels; };
  for (size_t i = 0; i < std::min(predicted.size(), gold.size()); ++i) {
    if (known(predicted[i])) ++tallies[static_cast<size_t>(predicted[i])].predicted;
    if (known(gold[i])) ++tallies[static_cast<size_t>(gold[i])].gold;
    if (known(gold[i]) && predicted[i] == gold[i]) ++tallies[static_cast<size_t>(gold[i])].right;
  }
  double sum = 0;
  size_t counted = 0;
  for (const auto& tally : tallies) {
    if (tally.predicted + tally.gold == 0) continue;
    ++counted;
    sum += 2 * static_cast<double>(tally.right) / static_cast<double>(tally.predicted + tally.gold);
  }
  return counted == 0 ? 0 : sum / static_cast<double>(counted);
}

}  // namespace bantam::eval
