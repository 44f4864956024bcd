#include "runtime/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "runtime/sampling_steps.h"

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

/// The probabilities of the last step, by token.
std::map<TokenId, double> distribution(Sampler& sampler, const std::vector<float>& logits) {
  std::map<TokenId, double> out;
  for (const auto& [p, id] : sampler.distribution(logits)) out[id] = p;
  return out;
}

TEST(Sampling, PenaltiesLookAtTheLastTokens) {
  // Token 0 twice, 1 once, 2 before the window: logits 2/2 - 2*0.5 - 0.25, -1*2 - 0.5 - 0.25, untouched.
  Sampler sampler({.temperature = 1,
                   .penalty_last_n = 3,
                   .repetition_penalty = 2,
                   .frequency_penalty = 0.5F,
                   .presence_penalty = 0.25F});
  for (TokenId token : {2, 0, 1, 0}) sampler.accept(token);
  const auto found = distribution(sampler, {2, -1, 1});
  const double e0 = std::exp(-0.25), e1 = std::exp(-2.75), e2 = std::exp(1.0), total = e0 + e1 + e2;
  EXPECT_NEAR(found.at(0), e0 / total, 1e-6);
  EXPECT_NEAR(found.at(1), e1 / total, 1e-6);
  EXPECT_NEAR(found.at(2), e2 / total, 1e-6);
}

TEST(Sampling, BiasAndPenaltiesComeBeforeGreedyChoice) {
  Sampler biased({.logit_bias = {{2, 10.0F}, {0, -100.0F}}});
  EXPECT_EQ(biased.sample(std::vector<float>{9, 3, 2}), 2);
  Sampler penalised({.presence_penalty = 2});
  penalised.accept(1);
  EXPECT_EQ(penalised.sample(std::vector<float>{1, 2.5F, 0}), 0);
}

TEST(Sampling, AMaskLeavesTheRestOut) {
  Sampler sampler({.temperature = 1, .logit_bias = {{1, 50.0F}, {3, 1.0F}}});
  const std::vector<uint64_t> mask{0b1100};
  std::map<TokenId, double> found;
  for (const auto& [p, id] : sampler.distribution(std::vector<float>{1, 1, 1, 1}, mask)) found[id] = p;
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(3) / found.at(2), std::exp(1.0), 1e-5);
}

TEST(Sampling, TypicalKeepsWhatSurprisesAsExpected) {
  // p = 0.5 0.25 0.125 0.125: entropy 1.75 bits, surprises 1 2 3 3, distances 0.75 0.25 1.25 1.25: order 1,
  // 0, 2, 3.
  const auto logits = logits_of({0.5, 0.25, 0.125, 0.125});
  Sampler narrow({.temperature = 1, .typical_p = 0.2F}), wide({.temperature = 1, .typical_p = 0.6F});
  EXPECT_EQ(distribution(narrow, logits), (std::map<TokenId, double>{{1, 1.0}}));
  const auto found = distribution(wide, logits);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(0), 2.0 / 3, 1e-6);
  EXPECT_NEAR(
      entropy(std::vector<Candidate>{{std::log(0.5F), 0}, {std::log(0.25F), 1}, {std::log(0.25F), 2}}),
      1.5 * std::log(2.0), 1e-6);
}

TEST(Sampling, TopNSigmaCutsByDeviations) {
  // Mean 0, deviation sqrt((16 + 0 + 4 + 4) / 4) = sqrt 6 = 2.449: from 4 down to 4 - 1.0 * 2.449.
  Sampler sampler({.temperature = 1, .top_n_sigma = 1});
  EXPECT_EQ(distribution(sampler, {4, 0, -2, -2}).size(), 1U);
  Sampler wider({.temperature = 1, .top_n_sigma = 1.7F});
  EXPECT_EQ(distribution(wider, {4, 0, -2, -2}).size(), 2U);
}

TEST(Sampling, XtcLeavesTheLeastLikelyOfTheTop) {
  const auto logits = logits_of({0.4, 0.3, 0.2, 0.1});
  Sampler always({.temperature = 1, .xtc_probability = 1, .xtc_threshold = 0.15F});
  const auto found = distribution(always, logits);  // 0.4 and 0.3 go, 0.2 stays as the last above
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(2), 2.0 / 3, 1e-6);
  Sampler one({.temperature = 1, .xtc_probability = 1, .xtc_threshold = 0.35F});
  EXPECT_EQ(distribution(one, logits).size(), 4U);  // a single one above stays
  Sampler half({.temperature = 1, .xtc_probability = 0.5F, .xtc_threshold = 0.15F, .seed = 3});
  int excluded = 0;
  for (int i = 0; i < 10000; ++i) excluded += distribution(half, logits).size() == 2 ? 1 : 0;
  EXPECT_NEAR(excluded, 5000, 200);  // four standard errors
}

TEST(Sampling, DynamicTemperatureFollowsTheEntropy) {
  // Equal logits have the greatest entropy: temperature 1 + 0.5. Two equal and one impossible: log 2 / log 3
  // of it.
  Sampler even({.temperature = 1, .dynatemp_range = 0.5F});
  const float low = -std::numeric_limits<float>::infinity();
  EXPECT_NEAR(distribution(even, {1, 1, 1}).at(0), 1.0 / 3, 1e-6);
  Sampler skewed({.temperature = 1, .dynatemp_range = 0.5F});
  const double p = 0.9, h = -(p * std::log(p) + 0.1 * std::log(0.1)) / std::log(2.0), t = 0.5 + h;
  const double odds = std::pow(9.0, 1 / t);
  EXPECT_NEAR(distribution(skewed, logits_of({0.9, 0.1})).at(0), odds / (1 + odds), 1e-5);
  EXPECT_NEAR(distribution(even, {1, 1, low}).at(0), 0.5, 1e-6);
}

TEST(Sampling, RepetitionsAreFoundBackwards) {
  // ... 1 2 3 9 1 2 3: the end "1 2 3" was followed by 9 before; "3" alone by 9 too.
  const std::vector<TokenId> tokens{7, 1, 2, 3, 9, 1, 2, 3};
  EXPECT_EQ(repetition_lengths(tokens, 100), (std::unordered_map<TokenId, size_t>{{9, 3}}));
  EXPECT_EQ(repetition_lengths(tokens, 2), (std::unordered_map<TokenId, size_t>{{9, 2}}));
  EXPECT_TRUE(repetition_lengths(tokens, 0).empty());
  const std::vector<TokenId> same{5, 5, 5, 5};
  EXPECT_EQ(repetition_lengths(same, 100), (std::unordered_map<TokenId, size_t>{{5, 3}}));
}

TEST(Sampling, DryPenalisesWhatWouldContinueARepetition) {
  Sampler sampler({.temperature = 1, .dry_multiplier = 0.8F, .dry_base = 2, .dry_allowed_length = 2});
  for (TokenId token : {1, 2, 3, 0, 1, 2, 3}) sampler.accept(token);
  // Three tokens repeated, two allowed: logit 0 loses 0.8 * 2^(3 - 2).
  const auto found = distribution(sampler, {0, 0, 0, 0});
  EXPECT_NEAR(found.at(0) / found.at(1), std::exp(-1.6), 1e-6);
}

TEST(Sampling, MirostatSteersTheSurprise) {
  // Zipf's law with exponent 1.2 over 500 tokens; the mean surprise must come near tau.
  std::vector<float> logits;
  for (int i = 0; i < 500; ++i) logits.push_back(static_cast<float>(-1.2 * std::log(i + 1.0)));
  double total = 0;
  for (float x : logits) total += std::exp(double{x});
  for (int version : {1, 2}) {
    for (float tau : {2.0F, 3.5F}) {
      Sampler sampler({.temperature = 1, .mirostat = version, .mirostat_tau = tau, .seed = 9});
      double surprise = 0;
      constexpr int kDraws = 2000;
      for (int i = 0; i < kDraws; ++i) {
        double p = 0;
        const TokenId token = sampler.sample(logits);
        for (const auto& [q, id] : sampler.distribution(logits)) p += id == token ? q : 0;
        surprise += p > 0 ? -std::log2(p) / kDraws : 0;
        sampler.accept(token);
      }
      EXPECT_NEAR(surprise, tau, 0.25) << version;
    }
  }
  // Version 2 by hand: mu 2 * 1 bits keeps p >= 1/4.
  Sampler sampler({.temperature = 1, .mirostat = 2, .mirostat_tau = 1});
  const auto found = distribution(sampler, logits_of({0.5, 0.3, 0.2}));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(0), 0.625, 1e-6);
  sampler.accept(0);  // surprise -log2 0.625 = 0.678: mu = 2 - 0.1 * (0.678 - 1) = 2.032
  EXPECT_EQ(distribution(sampler, logits_of({0.5, 0.245, 0.255})).size(), 3U);
}

TEST(Sampling, LogProbabilitiesAreOfTheModel) {
  const auto logits = logits_of({0.1, 0.2, 0.3, 0.2, 0.2});
  const auto found = logprobs_of(logits, 0, 3);
  EXPECT_EQ(found.token, 0);
  EXPECT_NEAR(found.logprob, std::log(0.1), 1e-6);
  ASSERT_EQ(found.top.size(), 3U);
  EXPECT_EQ(found.top[0].first, 2);
  EXPECT_EQ(found.top[1].first, 1);
  EXPECT_EQ(found.top[2].first, 3);
  EXPECT_NEAR(found.top[1].second, std::log(0.2), 1e-6);
  EXPECT_TRUE(logprobs_of(logits, 4, 0).top.empty());
  EXPECT_EQ(logprobs_of(logits, 4, 50).top.size(), 5U);
}

TEST(Sampling, OptionsAreChecked) {
  EXPECT_TRUE(check({}));
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = -1}, SamplingOptions{.temperature = kNaN}, SamplingOptions{.top_p = 0},
        SamplingOptions{.top_p = 1.5F}, SamplingOptions{.min_p = -0.1F}, SamplingOptions{.typical_p = 0},
        SamplingOptions{.repetition_penalty = 0}, SamplingOptions{.mirostat = 3},
        SamplingOptions{.top_k = 40, .mirostat = 1}, SamplingOptions{.dry_breakers = {""}},
        SamplingOptions{.logit_bias = {{-1, 1.0F}}}}) {
    const auto status = check(options);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace bantam::runtime
