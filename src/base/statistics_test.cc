#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace bantam {
namespace {

TEST(Statistics, IncompleteBetaHasKnownValues) {
  EXPECT_NEAR(incomplete_beta(1, 1, 0.3), 0.3, 1e-14);
  EXPECT_NEAR(incomplete_beta(2, 3, 0.5), 0.6875, 1e-14);          // 11/16
  EXPECT_NEAR(incomplete_beta(0.5, 0.5, 0.25), 1.0 / 3.0, 1e-13);  // the arcsine law: 2/pi asin(sqrt x)
  EXPECT_TRUE(std::isnan(incomplete_beta(0, 1, 0.5)));
  EXPECT_TRUE(std::isnan(incomplete_beta(1, 1, 1.5)));
}

TEST(Statistics, BinomialCdfEqualsTheSum) {
  for (uint64_t n : {1, 2, 7, 40}) {
    for (double p : {0.01, 0.3, 0.5, 0.97}) {
      double sum = 0, term = std::pow(1 - p, static_cast<double>(n));
      for (uint64_t k = 0; k <= n; ++k) {
        if (k > 0) term *= static_cast<double>(n - k + 1) / static_cast<double>(k) * p / (1 - p);
        sum += term;
        EXPECT_NEAR(binomial_cdf(k, n, p), sum, 1e-10) << n << " " << p << " " << k;
      }
    }
  }
  EXPECT_EQ(binomial_cdf(3, 10, 0), 1);
  EXPECT_EQ(binomial_cdf(3, 10, 1), 0);
}

TEST(Statistics, NormalQuantile) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(1e-9), -5.997807015007687, 1e-9);
}

TEST(Statistics, WilsonHasKnownValues) {
  // Newcombe (1998), table I, method 3: 81/263 and 15/148, 0/20, 1/29.
  EXPECT_NEAR(wilson(81, 263).low, 0.2553, 5e-5);
  EXPECT_NEAR(wilson(81, 263).high, 0.3662, 5e-5);
  EXPECT_NEAR(wilson(15, 148).low, 0.0624, 5e-5);
  EXPECT_NEAR(wilson(15, 148).high, 0.1605, 5e-5);
  EXPECT_EQ(wilson(0, 20).low, 0);
  EXPECT_NEAR(wilson(0, 20).high, 0.1611, 5e-5);
  EXPECT_NEAR(wilson(1, 29).low, 0.0061, 5e-5);
  EXPECT_NEAR(wilson(1, 29).high, 0.1718, 5e-5);
  EXPECT_EQ(wilson(20, 20).high, 1);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Statistics, ClopperPearsonHasKnownValues) {
  // Newcombe (1998), table I, method 5.
  EXPECT_NEAR(clopper_pearson(81, 263).low, 0.2527, 5e-5);
  EXPECT_NEAR(clopper_pearson(81, 263).high, 0.3676, 5e-5);
  EXPECT_NEAR(clopper_pearson(15, 148).low, 0.0578, 5e-5);
  EXPECT_NEAR(clopper_pearson(15, 148).high, 0.1617, 5e-5);
  EXPECT_NEAR(clopper_pearson(0, 20).high, 0.1684, 5e-5);
  EXPECT_NEAR(clopper_pearson(1, 29).low, 0.0009, 5e-5);
  EXPECT_NEAR(clopper_pearson(1, 29).high, 0.1776, 5e-5);
  // The rule of three: no failure in 300.
  EXPECT_NEAR(binomial_upper(0, 300, 0.05), 1 - std::pow(0.05, 1.0 / 300), 1e-12);
  EXPECT_EQ(binomial_lower(0, 300, 0.05), 0);
  EXPECT_EQ(binomial_upper(300, 300, 0.05), 1);
}

TEST(Statistics, ExpectedCalibrationError) {
  // Two bins: (0.2, wrong), (0.4, right): |0.5 - 0.3|; (0.9, right), (0.7, right): |1 - 0.8|.
  const std::vector<double> confidence{0.2, 0.4, 0.9, 0.7};
  const std::vector<uint8_t> correct{0, 1, 1, 1};
  EXPECT_NEAR(expected_calibration_error(confidence, correct, 2), 0.2, 1e-12);
  EXPECT_EQ(expected_calibration_error({}, {}), 0);
  const auto bins = reliability(confidence, correct, 2);
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_EQ(bins[0].count, 2u);
  EXPECT_NEAR(bins[1].confidence, 0.8, 1e-12);
  EXPECT_NEAR(bins[1].accuracy, 1.0, 1e-12);
}

TEST(Statistics, ReliabilityBinsAreClosedAbove) {
  const std::vector<double> confidence{0.0, 0.5, 0.50001, 1.0};
  const std::vector<uint8_t> correct{1, 1, 1, 1};
  const auto bins = reliability(confidence, correct, 2);
  EXPECT_EQ(bins[0].count, 2u);
  EXPECT_EQ(bins[1].count, 2u);
}

TEST(Noninferiority, WithoutDiscordantPairsItIsTheRuleOfThree) {
  for (uint64_t n : {100, 342, 1000}) {
    const double p = noninferiority_p(0, 0, n, 0.009);
    EXPECT_GE(p, std::pow(1 - 0.009, static_cast<double>(n)) + kNuisanceError - 1e-12);
    EXPECT_LE(p, std::pow(1 - 0.009, static_cast<double>(n)) + kNuisanceError + 0.02);
  }
  EXPECT_EQ(noninferiority_p(0, 0, 0, 0.01), 1);
  EXPECT_EQ(noninferiority_p(30, 0, 1000, 0.01), 1);
}

TEST(Noninferiority, MoreLossesNeverHelpAndMoreGainsNeverHarm) {
  for (uint64_t losses = 0; losses < 12; ++losses) {
    for (uint64_t gains = 0; gains < 12; ++gains) {
      const double p = noninferiority_p(losses, gains, 900, 0.009);
      EXPECT_LE(p, noninferiority_p(losses + 1, gains, 900, 0.009) + 1e-3) << losses << " " << gains;
      EXPECT_GE(p, noninferiority_p(losses, gains + 1, 900, 0.009) - 1e-3) << losses << " " << gains;
    }
  }
}

TEST(Noninferiority, AgreesWithTheScoreTestWhenThereAreManyPairs) {
  // n = 20,000, margin 0.02: the exact p-value lies close above Tango's asymptotic one.
  const double p = noninferiority_p(1300, 1000, 20000, 0.02);
  // z = (300 - 400) / sqrt(20000 (2 q + 0.02 - 0.0004)), q about 0.0475.
  const double z = -100 / std::sqrt(20000 * (2 * 0.0475 + 0.0196));
  EXPECT_NEAR(p, 0.5 * std::erfc(-z / std::sqrt(2.0)), 0.005);
}

// The promise itself: at the border of the hypothesis at most 5 % of samples may look better than 0.05.
TEST(Noninferiority, HoldsItsLevel) {
  struct Case {
    uint64_t n;
    double gain, margin;
  };
  Rng rng(7);
  for (const Case& c :
       {Case{400, 0.0, 0.01}, Case{1000, 0.01, 0.009}, Case{800, 0.05, 0.02}, Case{500, 0.002, 0.03}}) {
    constexpr int kRuns = 4000;
    int rejected = 0;
    for (int run = 0; run < kRuns; ++run) {
      uint64_t losses = 0, gains = 0;
      for (uint64_t i = 0; i < c.n; ++i) {
        const double u = rng.uniform();
        losses += u < c.gain + c.margin;
        gains += u >= 0.5 && u < 0.5 + c.gain;
      }
      rejected += noninferiority_p(losses, gains, c.n, c.margin) <= 0.05;
    }
    // 0.05 + 4 standard errors of the simulation.
    EXPECT_LE(rejected, kRuns * (0.05 + 4 * std::sqrt(0.05 * 0.95 / kRuns))) << c.n << " " << c.gain;
    EXPECT_GE(rejected, kRuns * 0.01) << "needlessly strict: " << c.n << " " << c.gain;
  }
}

}  // namespace
}  // namespace bantam
