#include "eval/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace bantam::eval {
namespace {

TEST(Metrics, QuantileInterpolates) {
  EXPECT_EQ(quantile({}, 0.5), 0);
  EXPECT_EQ(quantile({4}, 0.99), 4);
  EXPECT_EQ(quantile({3, 1, 2, 4}, 0.5), 2.5);
  EXPECT_EQ(quantile({3, 1, 2, 4}, 0), 1);
  EXPECT_EQ(quantile({3, 1, 2, 4}, 1), 4);
  EXPECT_NEAR(quantile({10, 20, 30, 40, 50}, 0.99), 49.6, 1e-12);
}

TEST(Metrics, MacroF1) {
  // label 0: precision 1/2, recall 1 -> 2/3; label 1: precision 1, recall 1/2 -> 2/3; label 2 never occurs.
  const std::vector<int32_t> predicted{0, 0, 1, -1}, gold{0, 1, 1, -1};
  EXPECT_NEAR(macro_f1(predicted, gold, 3), 2.0 / 3.0, 1e-12);
  EXPECT_EQ(macro_f1({}, {}, 3), 0);
  // An unanswered example lowers recall only.
  const std::vector<int32_t> silent{0, -1}, both{0, 0};
  EXPECT_NEAR(macro_f1(silent, both, 1), 2.0 / 3.0, 1e-12);
}

TEST(Metrics, McNemarIsTheExactBinomialTest) {
  EXPECT_EQ(mcnemar_exact(0, 0), 1);
  EXPECT_NEAR(mcnemar_exact(0, 5), 0.0625, 1e-12);
  EXPECT_NEAR(mcnemar_exact(1, 9), 2 * 11.0 / 1024, 1e-12);
  EXPECT_EQ(mcnemar_exact(6, 6), 1);
  EXPECT_NEAR(mcnemar_exact(2, 8), mcnemar_exact(8, 2), 1e-15);
}

TEST(Metrics, PairedRatioCountsAndCovers) {
  std::vector<uint8_t> a, b;
  for (int i = 0; i < 1000; ++i) {
    a.push_back(i < 880);
    b.push_back(i >= 20 && i < 910);
  }
  const auto result = paired_ratio(a, b);
  EXPECT_EQ(result.n, 1000u);
  EXPECT_EQ(result.only_a, 20u);
  EXPECT_EQ(result.only_b, 30u);
  EXPECT_NEAR(result.ratio, 880.0 / 890.0, 1e-12);
  // Delta method: the standard error of log(ratio) is sqrt((only_a + only_b) / (880 * 890)) to first order.
  const double se = std::sqrt(50.0 / (880.0 * 890.0)) * result.ratio;
  EXPECT_NEAR(result.interval.low, result.ratio - 1.96 * se, 0.0015);
  EXPECT_NEAR(result.interval.high, result.ratio + 1.96 * se, 0.0015);
  const auto again = paired_ratio(a, b);
  EXPECT_EQ(result.interval.low, again.interval.low);
  EXPECT_NE(result.interval.low, paired_ratio(a, b, 2).interval.low);
}

TEST(Metrics, PairedRatioOfNothingIsDefined) {
  EXPECT_EQ(paired_ratio({}, {}).ratio, 0);
  const std::vector<uint8_t> wrong(10, 0), right(10, 1);
  EXPECT_EQ(paired_ratio(right, wrong).ratio, 0);
  EXPECT_EQ(paired_ratio(wrong, right).interval.high, 0);
  const auto equal = paired_ratio(right, right);
  EXPECT_EQ(equal.ratio, 1);
  EXPECT_EQ(equal.interval.low, 1);
  EXPECT_EQ(equal.mcnemar_p, 1);
}

}  // namespace
}  // namespace bantam::eval
