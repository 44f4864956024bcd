// Rotations by their definitions. That the families' are the right ones is what tests/llamacpp shows.

#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bantam::model {
namespace {

Config config_of(uint32_t head_dim) {
  Config config;
  config.head_dim = head_dim;
  config.rope_base = 100;
  return config;
}

double angle(const Rotations& turns, size_t at) { return std::atan2(turns.sin[at], turns.cos[at]); }

TEST(Rope, PlainFrequencies) {
  const auto turns = rotations(config_of(4), {}, 3);
  ASSERT_EQ(turns.cos.size(), 6U);
  EXPECT_NEAR(angle(turns, 2), 1, 1e-6);    // position 1, pair 0: 100^0
  EXPECT_NEAR(angle(turns, 3), 0.1, 1e-6);  // pair 1: 100^(-2/4)
  EXPECT_NEAR(angle(turns, 5), 0.2, 1e-6);
}

TEST(Rope, LinearScalingAndFactorsDivideAngles) {
  Config config = config_of(4);
  config.rope_scaling = {.type = RopeScaling::Type::kLinear, .factor = 4};
  Weights weights;
  weights.rope_factors = {1, 2};
  const auto turns = rotations(config, weights, 2);
  EXPECT_NEAR(angle(turns, 2), 1.0 / 4, 1e-6);
  EXPECT_NEAR(angle(turns, 3), 0.1 / 8, 1e-6);
}

TEST(Rope, LongFactorsBeyondTheOriginalContext) {
  Config config = config_of(4);
  config.rope_scaling.original_context = 3;
  config.rope_scaling.magnitude = 1.5F;
  Weights weights;
  weights.rope_short = {1, 1};
  weights.rope_long = {2, 4};
  const auto within = rotations(config, weights, 3), beyond = rotations(config, weights, 4);
  EXPECT_NEAR(angle(within, 3), 0.1, 1e-6);
  EXPECT_NEAR(angle(beyond, 3), 0.1 / 4, 1e-6);
  EXPECT_NEAR(std::hypot(beyond.cos[3], beyond.sin[3]), 1.5, 1e-6);
}

TEST(Rope, YarnKeepsFastPairsAndInterpolatesSlowOnes) {
  Config config = config_of(64);
  config.rope_base = 10000;
  config.rope_scaling = {.type = RopeScaling::Type::kYarn, .factor = 4, .original_context = 2048};
  const auto turns = rotations(config, {}, 2);
  const size_t last = 2 * 32 - 1;
  EXPECT_NEAR(angle(turns, 32), 1, 1e-6);
  EXPECT_NEAR(angle(turns, last), std::pow(10000, -62.0 / 64) / 4, 1e-9);
  EXPECT_NEAR(std::hypot(turns.cos[last], turns.sin[last]), 1 + 0.1 * std::log(4.0), 1e-6);
}

TEST(Rope, LayersWithAWindowHaveABaseOfTheirOwn) {
  Config config = config_of(4);
  EXPECT_TRUE(window_rotations(config, 2).cos.empty());
  config.sliding_window = 8;
  config.window_rope_base = 16;
  config.window_pattern = 3;
  EXPECT_NEAR(angle(window_rotations(config, 2), 3), 0.25, 1e-6);
  EXPECT_TRUE(config.has_window(0));
  EXPECT_TRUE(config.has_window(1));
  EXPECT_FALSE(config.has_window(2));
  config.rope_dims = 2;
  EXPECT_EQ(window_rotations(config, 2).cos.size(), 2U);
}

}  // namespace
}  // namespace bantam::model
