#include "compress/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"

namespace bantam::compress {
namespace {

using testing::HasSubstr;

// A simulated task with a known truth. A request of hardness z, uniform in [0, 1], gives the SLM the
// confidence c(z); it is right with that probability, and the LLM is right with 0.985 where the SLM is, with
// `rescue` where it is not.
struct PairedWorld {
  double rescue = 0.55;
  double power = 3;  // larger: fewer hard requests

  double confidence(double z) const { return 1 - 0.9 * std::pow(z, power); }
  PairedAnswer draw(Rng& rng) const {
    const double c = confidence(rng.uniform());
    const bool slm = rng.chance(c);
    return {c, slm, rng.chance(slm ? 0.985 : rescue)};
  }
  std::vector<PairedAnswer> draw(Rng& rng, size_t n) const {
    std::vector<PairedAnswer> answers(n);
    for (auto& answer : answers) answer = draw(rng);
    return answers;
  }
  /// The team's accuracy over the LLM's at a threshold, by integration over z.
  double true_ratio(double threshold) const {
    constexpr int kSteps = 20000;
    double team = 0, llm = 0;
    for (int i = 0; i < kSteps; ++i) {
      const double c = confidence((i + 0.5) / kSteps);
      const double llm_right = c * 0.985 + (1 - c) * rescue;
      llm += llm_right;
      team += c >= threshold ? c : llm_right;
    }
    return team / llm;
  }
};

std::vector<ScoredExample> tempered_examples(Rng& rng, size_t n, double temperature, size_t labels = 5) {
  std::vector<ScoredExample> examples(n);
  for (auto& example : examples) {
    // The label is drawn from softmax(logits); the model shows logits * temperature, so that dividing by it
    // puts it right.
    std::vector<double> logits(labels);
    for (double& logit : logits) logit = 2 * rng.normal();
    double sum = 0;
    for (double logit : logits) sum += std::exp(logit);
    double u = rng.uniform() * sum;
    example.gold = static_cast<int32_t>(labels) - 1;
    for (size_t l = 0; l < labels; ++l) {
      u -= std::exp(logits[l]);
      if (u < 0) {
        example.gold = static_cast<int32_t>(l);
        break;
      }
    }
    for (double& logit : logits) logit *= temperature;
    example.scores = logits;
    example.llm_label = rng.chance(0.9) ? example.gold : (example.gold + 1) % static_cast<int32_t>(labels);
  }
  return examples;
}

TEST(Temperature, FindsTheOneTheScoresWereMadeWith) {
  Rng rng(3);
  for (double truth : {0.3, 1.0, 2.5}) {
    const auto fitted = fit_temperature(tempered_examples(rng, 20000, truth));
    ASSERT_TRUE(fitted) << fitted.error().message;
    EXPECT_NEAR(*fitted / truth, 1, 0.05);
  }
}

TEST(Temperature, StaysWithinItsBoundsWhenEveryAnswerIsRight) {
  std::vector<ScoredExample> examples(200, {{3, 1, 0}, 0, 0});
  const auto fitted = fit_temperature(examples);
  ASSERT_TRUE(fitted);
  EXPECT_NEAR(*fitted, 0.05, 1e-3);
}

TEST(Temperature, NamesABadExample) {
  std::vector<ScoredExample> examples(3, {{0, 1}, 1, 1});
  examples[2].scores = {0, 1, 2};
  EXPECT_THAT(fit_temperature(examples).error().message, HasSubstr("example 2 has 3 scores, expected 2"));
  examples[2] = {{0, std::nan("")}, 1, 1};
  EXPECT_THAT(fit_temperature(examples).error().message, HasSubstr("example 2 has a score of nan"));
  examples[2] = {{0, 1}, 2, 1};
  EXPECT_THAT(fit_temperature(examples).error().message, HasSubstr("example 2 has label 2, expected 0 to 1"));
  EXPECT_EQ(fit_temperature({}).error().code, Code::kInvalidArgument);
}

TEST(Threshold, GridRunsFromTheStrictestDown) {
  const auto grid = threshold_grid();
  EXPECT_EQ(grid.front(), 1);
  EXPECT_EQ(grid.back(), 0);
  EXPECT_TRUE(std::is_sorted(grid.rbegin(), grid.rend()));
  EXPECT_EQ(std::adjacent_find(grid.begin(), grid.end()), grid.end());
}

TEST(Threshold, KeepsEverythingWhenTheSmallModelIsAsGood) {
  std::vector<PairedAnswer> answers(1000, {0.7, true, true});
  const auto chosen = choose_threshold(answers, 0.99);
  ASSERT_TRUE(chosen) << chosen.error().message;
  EXPECT_EQ(chosen->threshold, 0);
  EXPECT_EQ(chosen->local_share, 1);
}

TEST(Threshold, AsksForMoreExamplesWhenThereAreTooFew) {
  std::vector<PairedAnswer> answers(100, {0.7, true, true});
  const auto refused = choose_threshold(answers, 0.99);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("found 100"));
  // The number in the message suffices when nothing goes wrong, apart from the bound on the LLM's accuracy
  // getting tighter.
  answers.resize(400, answers[0]);
  EXPECT_TRUE(choose_threshold(answers, 0.99));
  EXPECT_FALSE(choose_threshold({}, 0.99));
}

TEST(Threshold, RefusesAModelThatIsSureAndWrong) {
  std::vector<PairedAnswer> answers(1000, {1.0, false, true});
  const auto refused = choose_threshold(answers, 0.99);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("no threshold keeps 0.99"));
}

TEST(Threshold, RefusesNonsense) {
  std::vector<PairedAnswer> answers(1000, {0.5, true, true});
  for (double target : {0.0, 1.0, -1.0, std::nan("")})
    EXPECT_FALSE(choose_threshold(answers, target)) << target;
  for (double error : {0.0, 1.0, 0.001}) EXPECT_FALSE(choose_threshold(answers, 0.99, error)) << error;
  answers[5].confidence = 1.5;
  EXPECT_THAT(choose_threshold(answers, 0.99).error().message, HasSubstr("example 5 has confidence 1.5"));
}

// The promise: over 1,000 calibrations the truth falls short of the target in at most 5 %.
TEST(Threshold, HoldsOnFreshData) {
  struct Case {
    PairedWorld world;
    size_t n;
    double target;
    int runs;
  };
  for (const Case& c :
       {Case{{0.9, 5}, 800, 0.98, 1000}, Case{{0.55, 3}, 1000, 0.99, 200}, Case{{0.2, 2}, 1500, 0.99, 200}}) {
    Rng rng(11);
    int violations = 0, refused = 0;
    double share = 0;
    for (int run = 0; run < c.runs; ++run) {
      const auto chosen = choose_threshold(c.world.draw(rng, c.n), c.target);
      if (!chosen) {
        ++refused;
        continue;
      }
      share += chosen->local_share;
      violations += c.world.true_ratio(chosen->threshold) < c.target;
    }
    EXPECT_LE(violations, 0.05 * c.runs + 3 * std::sqrt(c.runs * 0.05 * 0.95)) << c.n;
    EXPECT_LT(refused, c.runs / 50) << c.n;
    RecordProperty("violations", violations);
    std::printf("n %zu, target %.2f: %d violations in %d, %d refused, mean local share %.3f\n", c.n, c.target,
                violations, c.runs, refused, share / (c.runs - refused));
  }
}

TEST(Calibrate, LowersTheErrorAndFindsAThreshold) {
  Rng rng(5);
  const auto examples = tempered_examples(rng, 6000, 2.5);
  const auto report = calibrate(examples, {.target = 0.9});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->calibration.temperature, 2.5, 0.35);
  EXPECT_LT(report->calibration.ece_after, report->calibration.ece_before / 2);
  EXPECT_LT(report->nll_after, report->nll_before);
  EXPECT_EQ(report->calibration.target, 0.9);
  EXPECT_EQ(report->calibration.examples, 6000u);
  EXPECT_GT(report->threshold.local_share, 0.05);
  const auto again = calibrate(examples, {.target = 0.9});
  EXPECT_EQ(again->calibration.threshold, report->calibration.threshold);
  EXPECT_EQ(again->calibration.temperature, report->calibration.temperature);
}

TEST(Calibrate, AnErrorGivesACertificateInsteadOfATarget) {
  Rng rng(6);
  const auto examples = tempered_examples(rng, 6000, 2.0);
  const auto report = calibrate(examples, {.target = 0, .error = 0.1, .reference = "llm"});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(report->certificate);
  EXPECT_EQ(report->certificate->threshold, report->calibration.threshold);
  EXPECT_EQ(report->certificate->reference, "llm");
  EXPECT_EQ(report->certificate->examples + report->fitted, 6000u);
  EXPECT_GT(report->certificate->kept, 300u);
  EXPECT_EQ(report->calibration.target, 0);
  ASSERT_EQ(report->signals.size(), 4u);
  for (const auto& signal : report->signals) EXPECT_GT(signal.auroc, 0.6) << signal.name;
  EXPECT_THAT(calibrate(examples, {.target = 0.9, .error = 0.05}).error().message,
              HasSubstr("both a target"));
  EXPECT_THAT(calibrate(std::span(examples).first(350), {.target = 0, .error = 0.01}).error().message,
              HasSubstr("needs at least 500 examples"));
  EXPECT_THAT(calibrate(std::span(examples).first(500), {.target = 0, .error = 0.005}).error().message,
              HasSubstr("needs at least 748 examples"));
}

TEST(Calibrate, TemperatureAloneNeedsNoLlm) {
  Rng rng(5);
  auto examples = tempered_examples(rng, 600, 1.5);
  for (auto& example : examples) example.llm_label = -1;
  const auto report = calibrate(examples, {.target = 0});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->calibration.target, 0);
  EXPECT_EQ(report->calibration.threshold, 0);
  EXPECT_FALSE(calibrate(examples, {.target = 0.99}));
}

TEST(Calibrate, SaysHowManyExamplesItNeeds) {
  Rng rng(5);
  const auto refused = calibrate(tempered_examples(rng, 200, 1));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("needs at least 500 examples, found 200"));
}

}  // namespace
}  // namespace bantam::compress
