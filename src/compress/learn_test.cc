#include "compress/learn.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace bantam::compress {
namespace {

/// Answers whose probability of being right is told by two signals together, and by neither alone: the model
/// is far too sure of itself (`before`), and its samples disagree where it is wrong.
std::vector<MeasuredAnswer> answers(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<MeasuredAnswer> out(n);
  for (MeasuredAnswer& a : out) {
    const double x = rng.normal(), y = rng.normal();
    const double p = 1 / (1 + std::exp(-(1 + 1.5 * x + 1.5 * y)));
    a.right = rng.chance(p);
    a.signals.mean_logprob = -std::exp(-1 - 0.5 * x);
    a.signals.agreement = 1 / (1 + std::exp(-2 * y));
    a.before = std::exp(0.1 * a.signals.mean_logprob);
  }
  return out;
}

TEST(LearnConfidence, IsCalibratedAndTellsMore) {
  const auto report = learn_confidence(answers(2000, 1));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->learned.fitted, 1000U);
  EXPECT_EQ(report->learned.tested, 1000U);
  EXPECT_GT(report->learned.ece_before, 0.15);
  EXPECT_LT(report->learned.ece_after, 0.06);
  EXPECT_NEAR(report->right, 0.65, 0.1);
  EXPECT_EQ(report->signals.front().name, "before");
  EXPECT_EQ(report->signals.back().name, "learned");
  EXPECT_EQ(report->signals.size(), 4U);  // what was not measured is no row
  for (const auto& signal : report->signals) {
    if (signal.name == "learned") continue;
    EXPECT_GT(report->signals.back().auroc, signal.auroc + 0.05) << signal.name;
  }
  EXPECT_FALSE(report->learned.certificate);
  // What a file holds is what was tested.
  for (double weight : report->learned.weights)
    EXPECT_EQ(weight, static_cast<double>(static_cast<float>(weight)));
}

TEST(LearnConfidence, CertifiesAThresholdOnIt) {
  const auto report = learn_confidence(answers(6000, 2), {.error = 0.05});
  ASSERT_TRUE(report) << report.error().message;
  const auto& certificate = report->learned.certificate;
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->examples, 3000U);
  EXPECT_GT(certificate->kept, 100U);
  EXPECT_FALSE(certificate->drift_counts.empty());
  // On fresh answers the promise holds.
  const auto combination = Combination::from(report->learned.weights);
  uint64_t kept = 0, wrong = 0;
  for (const MeasuredAnswer& a : answers(20000, 3)) {
    if ((*combination)(a.signals) < certificate->threshold) continue;
    ++kept;
    wrong += !a.right;
  }
  EXPECT_LE(static_cast<double>(wrong), 0.05 * static_cast<double>(kept));
}

TEST(LearnConfidence, RefusesWhatTeachesNothing) {
  const auto few = learn_confidence(answers(60, 1));
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("needs at least 100 examples, found 60"), std::string::npos);
  const auto certain = learn_confidence(answers(200, 1), {.error = 0.001});
  ASSERT_FALSE(certain);
  EXPECT_NE(certain.error().message.find("needs at least"), std::string::npos);
  auto right = answers(200, 1);
  for (auto& a : right) a.right = true;
  EXPECT_FALSE(learn_confidence(right));
  EXPECT_FALSE(learn_confidence(answers(200, 1), {.fit_share = 1}));
}

}  // namespace
}  // namespace bantam::compress
