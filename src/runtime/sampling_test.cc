#include "runtime/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace bantam::runtime {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

std::map<TokenId, double> frequencies(const SamplingOptions& options, const std::vector<float>& logits,
                                      int draws = 20000) {
  Sampler sampler(options);
  std::map<TokenId, double> out;
  for (int i = 0; i < draws; ++i) out[sampler.sample(logits)] += 1.0 / draws;
  return out;
}

TEST(Sampling, GreedyTakesTheFirstOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{kNaN, 3, kNaN, 4}), 3);
}

TEST(Sampling, EqualSeedsGiveEqualTokens) {
  const auto logits = logits_of({0.1, 0.2, 0.3, 0.4});
  Sampler a({.temperature = 1, .seed = 7}), b({.temperature = 1, .seed = 7});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.sample(logits), b.sample(logits));
}

TEST(Sampling, FollowsTheDistribution) {
  const auto found = frequencies({.temperature = 1, .seed = 1}, logits_of({0.1, 0.2, 0.3, 0.4}));
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(found.at(i), 0.1 * (i + 1), 0.015);  // four standard errors
}

TEST(Sampling, TemperatureComesAfterTopP) {
  // top-p 0.6 of the untempered distribution keeps {3, 2}; at temperature 1e3 both are as likely.
  const auto found =
      frequencies({.temperature = 100, .top_p = 0.6F, .seed = 1}, logits_of({0.1, 0.2, 0.3, 0.4}));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(2), 0.5, 0.02);
}

TEST(Sampling, TopKAndMinPCutOff) {
  EXPECT_EQ(frequencies({.temperature = 1, .top_k = 2, .seed = 1}, logits_of({0.1, 0.2, 0.3, 0.4})).size(),
            2U);
  EXPECT_EQ(frequencies({.temperature = 1, .min_p = 0.6F, .seed = 1}, logits_of({0.1, 0.2, 0.3, 0.4})).size(),
            2U);
  EXPECT_EQ(frequencies({.temperature = 1, .top_k = 1, .seed = 1}, logits_of({0.1, 0.9})).size(), 1U);
}

TEST(Sampling, TopPOverManyCandidates) {
  std::vector<float> logits(5000, 0.0F);
  Sampler sampler({.temperature = 1, .top_p = 0.5F, .seed = 3});
  for (int i = 0; i < 200; ++i) EXPECT_LT(sampler.sample(logits), 2500);  // ties are kept by the smaller id
}

TEST(Sampling, NotANumberIsSafe) {
  Sampler sampler({.temperature = 1, .top_k = 3, .top_p = 0.9F, .min_p = 0.1F, .seed = 1});
  for (int i = 0; i < 100; ++i) {
    const auto id = sampler.sample(std::vector<float>{kNaN, kNaN, kNaN, kNaN});
    EXPECT_TRUE(id >= 0 && id < 4);
  }
}

TEST(Sampling, OptionsAreChecked) {
  EXPECT_TRUE(check({}));
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = -1}, SamplingOptions{.temperature = kNaN}, SamplingOptions{.top_p = 0},
        SamplingOptions{.top_p = 1.5F}, SamplingOptions{.min_p = -0.1F}}) {
    const auto status = check(options);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace bantam::runtime
