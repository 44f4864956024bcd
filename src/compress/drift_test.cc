#include "compress/drift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compress/certify.h"

namespace bantam::compress {
namespace {

/// Confidences of a model that is sure of most things; `shift` makes it less sure.
double draw_confidence(Rng& rng, double shift = 0) {
  return 1 / (1 + std::exp(-(2 + 1.5 * rng.normal() - shift)));
}

model::Certificate certificate(Rng& rng, size_t n = 1000) {
  std::vector<Judged> fit(n / 4 + 50), test(n);
  for (auto& answer : fit) answer = {draw_confidence(rng), false};
  for (auto& answer : test) answer = {draw_confidence(rng), false};
  return certify(fit, test, {0.05, 0.95}).value();
}

TEST(Drift, AlarmsWithoutDriftNoMoreOftenThanItSays) {
  constexpr int kRuns = 200, kLength = 2000;
  int alarms = 0;
  for (int run = 0; run < kRuns; ++run) {
    Rng rng(100 + static_cast<uint64_t>(run));
    auto monitor =
        DriftMonitor::create(certificate(rng, 300), {.false_alarm = 0.05, .seed = rng.next()}).value();
    for (int i = 0; i < kLength; ++i) monitor.observe(draw_confidence(rng));
    alarms += monitor.alarmed();
  }
  EXPECT_LE(alarms, 22);  // 200 at 5 %: more than 22 once in 10,000 times
}

TEST(Drift, NoticesAShiftSoonAndALateOneToo) {
  for (const int quiet : {0, 20000}) {
    Rng rng(5);
    auto monitor = DriftMonitor::create(certificate(rng), {.false_alarm = 0.01}).value();
    for (int i = 0; i < quiet; ++i) monitor.observe(draw_confidence(rng));
    EXPECT_FALSE(monitor.alarmed());
    int until = 0;
    while (until < 5000 && !monitor.observe(draw_confidence(rng, 1.5))) ++until;
    EXPECT_LT(until, 600) << "after " << quiet;
  }
}

TEST(Drift, NoticesThatTheMiddleHasGone) {
  Rng rng(6);
  auto monitor = DriftMonitor::create(certificate(rng)).value();
  int until = 0;
  while (until < 5000 && !monitor.observe(rng.chance(0.5) ? 0.999 : 0.2)) ++until;
  EXPECT_LT(until, 600);
}

TEST(Drift, EqualConfidencesAreNoDrift) {
  std::vector<Judged> same(400, {1.0, false});
  auto monitor = DriftMonitor::create(certify(same, same, {0.05, 0.95}).value()).value();
  for (int i = 0; i < 20000; ++i) monitor.observe(1.0);
  EXPECT_FALSE(monitor.alarmed());
  EXPECT_EQ(monitor.observed(), 20000u);
}

TEST(Drift, RefusesACertificateWithoutADistribution) {
  EXPECT_FALSE(DriftMonitor::create(model::Certificate{}));
  Rng rng(7);
  auto broken = certificate(rng);
  EXPECT_FALSE(DriftMonitor::create(broken, {.false_alarm = 0}));
  broken.drift_counts[0] += 1;
  EXPECT_FALSE(DriftMonitor::create(broken));
}

}  // namespace
}  // namespace bantam::compress
