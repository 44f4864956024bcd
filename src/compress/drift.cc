#include "compress/drift.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bantam::compress {
namespace {

constexpr double kJump = 0.01;  // of the placed capital, shared out anew at each step
constexpr double kSmallStake = 0.5, kLargeStake = 1.5;

/// What a unit placed on each strategy becomes: each has mean 1 for a uniform rank and is positive.
std::array<double, 9> payoffs(double rank) {
  const double high = 2 * rank - 1;            // in [-1, 1], mean 0
  const double ends = 2 * std::abs(high) - 1;  // likewise
  const auto pair = [](double x, double stake) { return stake / 2 * x; };
  return {1,
          1 + pair(high, kSmallStake),
          1 - pair(high, kSmallStake),
          1 + pair(high, kLargeStake),
          1 - pair(high, kLargeStake),
          1 + pair(ends, kSmallStake),
          1 - pair(ends, kSmallStake),
          1 + pair(ends, kLargeStake),
          1 - pair(ends, kLargeStake)};
}

}  // namespace

Result<DriftMonitor> DriftMonitor::create(const model::Certificate& certificate,
                                          const DriftOptions& options) {
  if (!(options.false_alarm > 0 && options.false_alarm < 1)) {
    return fail(Code::kInvalidArgument, "drift: false_alarm is {}, expected a number above 0 and below 1",
                options.false_alarm);
  }
  if (certificate.drift_counts.empty()) {
    return fail(Code::kInvalidArgument,
                "drift: the certificate does not say how its confidences were distributed");
  }
  BANTAM_TRY(model::check(certificate));
  DriftMonitor out;
  out.edges_ = certificate.drift_edges;
  out.counts_ = certificate.drift_counts;
  out.total_ = std::accumulate(out.counts_.begin(), out.counts_.end(), uint64_t{0});
  out.alarm_at_ = -std::log(options.false_alarm);
  out.rng_ = Rng(options.seed);
  return out;
}

double DriftMonitor::rank(size_t bin) {
  ++counts_[bin];
  ++total_;
  const auto below =
      std::accumulate(counts_.begin(), counts_.begin() + static_cast<ptrdiff_t>(bin), uint64_t{0});
  return (static_cast<double>(below) + rng_.uniform() * static_cast<double>(counts_[bin])) /
         static_cast<double>(total_);
}

void DriftMonitor::bet(double rank) {
  // Fresh capital, then the jumps, then the bets: what is placed at step n does not depend on rank n.
  const double n = static_cast<double>(observed_);
  const double fresh = std::exp(-scale_) / (n * (n + 1));
  const double placed = std::accumulate(capital_.begin(), capital_.end(), 0.0);
  const auto payoff = payoffs(rank);
  double sum = 0;
  for (size_t i = 0; i < kStrategies; ++i) {
    capital_[i] = (1 - kJump) * capital_[i] + (kJump * placed + fresh) / kStrategies;
    capital_[i] *= payoff[i];
    sum += capital_[i];
  }
  for (double& c : capital_) c /= sum;
  scale_ += std::log(sum);
}

bool DriftMonitor::observe(double confidence) {
  ++observed_;
  const auto bin = std::upper_bound(edges_.begin(), edges_.end(), confidence) - edges_.begin();
  bet(rank(static_cast<size_t>(bin)));
  alarmed_ = alarmed_ || std::log(evidence()) >= alarm_at_;
  return alarmed_;
}

double DriftMonitor::evidence() const {
  // What is not placed yet is 1/(n + 1).
  return 1 / (static_cast<double>(observed_) + 1) + (observed_ > 0 ? std::exp(scale_) : 0);
}

}  // namespace bantam::compress
