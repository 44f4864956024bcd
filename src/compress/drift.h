#pragma once
// Whether the confidences of today still come from the distribution that a certificate was made on.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "model/certificate.h"

namespace bantam::compress {

struct DriftOptions {
  /// Without drift the alarm is never raised, however long it runs, but for this probability.
  double false_alarm = 0.01;
  uint64_t seed = 1;  // of the ranks of equal confidences
};

/// A sequential two-sample test, exact at any time and for any distribution.
///
/// Each confidence is given its rank among the certificate's and all before it, as a share of them with ties
/// broken at random; if all are exchangeable, these ranks are independent and uniform (Vovk, Gammerman,
/// Shafer 2005, theorem 8.2). A gambler with nine strategies bets against that: that ranks are high or low,
/// or that they lie at the ends or in the middle, with two stakes each, or nothing; a small share of the
/// capital moves between strategies at each step (the "simple jumper" of Vovk et al. 2021), and the n-th
/// confidence brings 1 / (n (n + 1)) of fresh capital, so that a long good time costs little of the power.
/// His capital is a martingale that starts at 1: without drift it ever reaches 1 / false_alarm with
/// probability false_alarm at most (Ville's inequality). A few hundred bytes; not for use from several
/// threads at once.
class DriftMonitor {
 public:
  /// Errors: kInvalidArgument for a false_alarm outside (0, 1), and a certificate without its distribution.
  static Result<DriftMonitor> create(const model::Certificate& certificate, const DriftOptions& options = {});

  /// Takes the next confidence; true from the first one on at which the certificate no longer holds.
  bool observe(double confidence);
  bool alarmed() const { return alarmed_; }
  uint64_t observed() const { return observed_; }
  /// The gambler's capital, 1 at the start; 1 / evidence() bounds the probability of seeing so much without
  /// drift.
  double evidence() const;

 private:
  static constexpr size_t kStrategies = 9;
  DriftMonitor() = default;
  double rank(size_t bin);
  void bet(double rank);

  std::vector<double> edges_;
  std::vector<uint64_t> counts_;
  uint64_t total_ = 0, observed_ = 0;
  std::array<double, kStrategies> capital_{};  // placed
  double scale_ = 0;                           // log of what capital_ is to be multiplied by
  double alarm_at_ = 0;                        // log capital
  bool alarmed_ = false;
  Rng rng_{1};
};

}  // namespace bantam::compress
