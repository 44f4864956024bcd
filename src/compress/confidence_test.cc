#include "compress/confidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "base/statistics.h"

namespace bantam::compress {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Signals, OfChoices) {
  const std::vector<double> scores{std::log(0.7), std::log(0.2), std::log(0.1)};
  const Signals s = choice_signals(scores, 1.0);
  EXPECT_NEAR(s.top, 0.7, 1e-12);
  EXPECT_NEAR(s.margin, 0.5, 1e-12);
  EXPECT_NEAR(s.entropy, -(0.7 * std::log(0.7) + 0.2 * std::log(0.2) + 0.1 * std::log(0.1)) / std::log(3.0),
              1e-12);
  EXPECT_TRUE(std::isnan(s.mean_logprob));
  const std::vector<double> one{-3.0};
  EXPECT_EQ(choice_signals(one, 2.0).margin, 1);
  EXPECT_EQ(choice_signals(one, 2.0).entropy, 0);
}

TEST(Signals, OfASequence) {
  const std::vector<double> logprobs{-0.1, -2.0, -0.3};
  const Signals s = sequence_signals(logprobs);
  EXPECT_NEAR(s.mean_logprob, -0.8, 1e-12);
  EXPECT_EQ(s.least_logprob, -2.0);
  EXPECT_EQ(s.tokens, 3);
  EXPECT_TRUE(std::isnan(sequence_signals({}).tokens));
}

/// Outcomes drawn from a logistic function of two signals, one of which is missing now and then.
void draw_outcomes(Rng& rng, size_t n, std::vector<Signals>& signals, std::vector<uint8_t>& right) {
  for (size_t i = 0; i < n; ++i) {
    Signals s;
    s.mean_logprob = -rng.uniform() * 2;
    s.agreement = rng.uniform();
    const double log_odds = 2 + 3 * (s.mean_logprob + 1) + 1.5 * std::log(s.agreement / (1 - s.agreement));
    right.push_back(rng.chance(1 / (1 + std::exp(-log_odds))));
    if (rng.chance(0.1)) s.agreement = kUnknown;
    signals.push_back(s);
  }
}

TEST(Combination, TellsMoreThanItsPartsAndMeansWhatItSays) {
  Rng rng(1);
  std::vector<Signals> fit, test;
  std::vector<uint8_t> fit_right, test_right;
  draw_outcomes(rng, 3000, fit, fit_right);
  draw_outcomes(rng, 5000, test, test_right);
  const auto made = Combination::fit(fit, fit_right);
  ASSERT_TRUE(made) << made.error().message;
  std::vector<double> combined, alone;
  for (const Signals& s : test) {
    combined.push_back((*made)(s));
    alone.push_back(std::exp(s.mean_logprob));
  }
  EXPECT_GT(auroc(combined, test_right), auroc(alone, test_right) + 0.05);
  EXPECT_LT(expected_calibration_error(combined, test_right), 0.03);
  const auto again = Combination::from(made->weights());
  ASSERT_TRUE(again);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ((*again)(test[i]), combined[i]);
}

TEST(Combination, RefusesWhatCannotBeLearned) {
  std::vector<Signals> signals(30);
  EXPECT_FALSE(Combination::fit(signals, std::vector<uint8_t>(30, 1)));
  EXPECT_FALSE(Combination::fit(signals, std::vector<uint8_t>(29, 1)));
  EXPECT_FALSE(Combination::from(std::vector<double>(3)));
  EXPECT_FALSE(Combination::from(std::vector<double>(2 * kSignals + 2 * kSignals + 1, std::nan(""))));
}

TEST(Isotonic, PoolsWhatFallsAndIsLinearBetween) {
  const std::vector<double> confidence{0.1, 0.2, 0.3, 0.4};
  const std::vector<uint8_t> right{0, 1, 0, 1};
  const auto map = Isotonic::fit(confidence, right).value();
  EXPECT_EQ(map.steps(), 3u);
  EXPECT_EQ(map(0.0), 0);
  EXPECT_NEAR(map(0.25), 0.5, 1e-12);
  EXPECT_NEAR(map(0.325), 0.75, 1e-12);
  EXPECT_EQ(map(0.9), 1);
  EXPECT_FALSE(Isotonic::fit({}, {}));
}

TEST(Isotonic, MendsAConfidenceThatLies) {
  Rng rng(2);
  std::vector<double> fit, test, mapped;
  std::vector<uint8_t> fit_right, test_right;
  for (int i = 0; i < 8000; ++i) {
    const double c = rng.uniform();
    (i % 2 ? fit : test).push_back(c);
    (i % 2 ? fit_right : test_right).push_back(rng.chance(c * c));
  }
  const auto map = Isotonic::fit(fit, fit_right).value();
  for (double c : test) mapped.push_back(map(c));
  EXPECT_GT(expected_calibration_error(test, test_right), 0.1);
  EXPECT_LT(expected_calibration_error(mapped, test_right), 0.03);
}

TEST(Auroc, CountsPairs) {
  const std::vector<double> confidence{0.9, 0.8, 0.8, 0.1};
  EXPECT_DOUBLE_EQ(auroc(confidence, std::vector<uint8_t>{1, 1, 0, 0}), (1 + 1 + 1 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(auroc(confidence, std::vector<uint8_t>{1, 1, 1, 1}), 0.5);
}

}  // namespace
}  // namespace bantam::compress
