#include "compress/certify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "base/statistics.h"

namespace bantam::compress {
namespace {

using testing::HasSubstr;

/// A task with a known truth: of hardness z, uniform in [0, 1], an answer is stated with confidence 1 - z and
/// is wrong with probability z^power.
struct JudgedWorld {
  double power = 3;

  Judged draw(Rng& rng) const {
    const double z = rng.uniform();
    const double wrong = std::pow(z, power);
    return {1 - wrong, rng.chance(wrong)};
  }
  std::vector<Judged> draw(Rng& rng, size_t n) const {
    std::vector<Judged> out(n);
    for (auto& answer : out) answer = draw(rng);
    return out;
  }
  /// P(wrong | confidence >= threshold).
  double risk(double threshold) const { return (1 - threshold) / (power + 1); }
};

TEST(Certify, NumberOfExamplesOfTheTextbook) {
  EXPECT_EQ(fewest_to_certify({0.01, 0.95}), 299u);
  EXPECT_EQ(fewest_to_certify({0.05, 0.95}), 59u);
  EXPECT_EQ(fewest_to_certify({0.10, 0.90}), 22u);
}

TEST(Certify, KeepsAnswersUpToNearTheLargestShareAllowed) {
  Rng rng(1);
  const JudgedWorld world;
  const auto fit = world.draw(rng, 5000), test = world.draw(rng, 20000);
  const auto made = certify(fit, test, {0.05, 0.95});
  ASSERT_TRUE(made) << made.error().message;
  // risk(t) = 0.05 at t = 0.8.
  EXPECT_GT(made->threshold, 0.8);
  EXPECT_LT(made->threshold, 0.85);
  EXPECT_LE(made->bound, 0.05);
  EXPECT_DOUBLE_EQ(made->bound, binomial_upper(made->errors, made->kept, 0.05));
  uint64_t kept = 0, wrong = 0;
  for (const auto& answer : test) {
    kept += answer.confidence >= made->threshold;
    wrong += answer.confidence >= made->threshold && answer.wrong;
  }
  EXPECT_EQ(made->kept, kept);
  EXPECT_EQ(made->errors, wrong);
  EXPECT_TRUE(model::check(*made));
  EXPECT_GT(made->drift_edges.size(), 50u);
}

TEST(Certify, KeepsEverythingWhereNothingIsWrong) {
  std::vector<Judged> all(299, {0.5, false});
  const auto made = certify(all, all, {0.01, 0.95});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->kept, 299u);
  EXPECT_EQ(made->threshold, 0);
}

TEST(Certify, RefusesTooFewExamplesWithTheNumberNeeded) {
  Rng rng(2);
  const JudgedWorld world;
  const auto few = certify(world.draw(rng, 100), world.draw(rng, 298), {0.01, 0.95});
  ASSERT_FALSE(few);
  EXPECT_THAT(few.error().message, HasSubstr("needs at least 299 examples to test on, found 298"));
  // Enough in all, but too few of them sure enough: the number needed is several times what is there.
  const auto unsure = certify(JudgedWorld{1}.draw(rng, 200), JudgedWorld{1}.draw(rng, 400), {0.01, 0.95});
  ASSERT_FALSE(unsure);
  EXPECT_EQ(unsure.error().code, Code::kInvalidArgument);
}

TEST(Certify, RefusesAModelWhoseSurestAnswersAreWrongTooOften) {
  Rng rng(3);
  std::vector<Judged> answers(4000);
  for (auto& answer : answers) answer = {rng.uniform(), rng.chance(0.2)};
  const auto made = certify(answers, answers, {0.01, 0.95});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("no threshold keeps the errors at 0.01 or below"));
}

TEST(Certify, RefusesWhatMakesNoSense) {
  std::vector<Judged> good(500, {0.9, false});
  EXPECT_FALSE(certify(good, good, {0, 0.95}));
  EXPECT_FALSE(certify(good, good, {0.01, 1}));
  EXPECT_FALSE(certify({}, good, {}));
  good[7].confidence = std::nan("");
  EXPECT_FALSE(certify(good, good, {}));
}

/// The promise: over the draw of the examples it is broken with a probability of at most 1 - confidence. Each
/// count of violations below would be exceeded once in 10,000 times if the rate were just that.
TEST(Certify, BreaksItsPromiseNoMoreOftenThanItSays) {
  struct Case {
    JudgedWorld world;
    size_t fit, test;
    CertifyOptions options;
  };
  for (const Case& c : {Case{{3}, 200, 800, {0.05, 0.90}}, Case{{2}, 300, 3000, {0.02, 0.95}},
                        Case{{1}, 400, 600, {0.10, 0.80}}}) {
    constexpr uint64_t kRuns = 400;
    uint64_t broken = 0, made = 0;
    Rng rng(11);
    for (uint64_t run = 0; run < kRuns; ++run) {
      const auto fit = c.world.draw(rng, c.fit), test = c.world.draw(rng, c.test);
      const auto certificate = certify(fit, test, c.options);
      if (!certificate) continue;
      ++made;
      broken += c.world.risk(certificate->threshold) > c.options.error;
    }
    EXPECT_GT(made, kRuns / 4) << c.options.error;
    EXPECT_GT(1 - binomial_cdf(broken, kRuns, 1 - c.options.confidence), 1e-4)
        << broken << " of " << kRuns << " at error " << c.options.error;
  }
}

}  // namespace
}  // namespace bantam::compress
