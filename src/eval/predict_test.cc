#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "eval/compare.h"
#include "runtime/random_engine_for_test.h"

namespace bantam::eval {
namespace {

std::shared_ptr<const runtime::Engine> random_engine(const std::vector<std::string>& labels) {
  auto config = model::tiny_config(64);
  config.vocab_size = 384;
  return runtime::random_engine({.config = config, .labels = labels});
}

TEST(PredictAll, TimesEachExampleAndAgreesWithTheEngine) {
  const auto engine = random_engine({"pay", "card", "rate"});
  ASSERT_NE(engine, nullptr);
  const std::vector<formats::Example> examples{{"my card", 0, 2}, {"the rate", 1, 3}, {"pay me", 2, 4}};
  std::vector<uint64_t> reports;
  const auto predictions = predict_all(
      *engine, examples, [&](const Progress& progress) { reports.push_back(progress.done); }, 5);
  ASSERT_TRUE(predictions) << predictions.error().message;
  ASSERT_EQ(predictions->size(), examples.size());
  auto session = engine->new_session();
  ASSERT_TRUE(session);
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto& prediction = (*predictions)[i];
    const auto choice = engine->classify(**session, examples[i].text);
    ASSERT_TRUE(choice);
    EXPECT_EQ(prediction.label, static_cast<int32_t>(choice->best));
    EXPECT_EQ(prediction.confidence, choice->confidence());
    EXPECT_EQ(prediction.prompt_tokens, choice->prompt_tokens);
    EXPECT_GT(prediction.prompt_tokens, 0u);
    EXPECT_GT(prediction.latency, 0);
    EXPECT_GT(prediction.cpu, 0);
  }
  EXPECT_THAT(reports, testing::ElementsAre(3));
}

TEST(PredictAll, NamesTheLineOfAnExampleThatDoesNotFit) {
  const auto engine = random_engine({"pay", "card"});
  ASSERT_NE(engine, nullptr);
  const std::vector<formats::Example> examples{{"short", 0, 2}, {std::string(4000, 'x'), 1, 7}};
  const auto refused = predict_all(*engine, examples, {}, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("line 7"));
}

TEST(PredictAll, RunsTheLinearBaselineAlongside) {
  const std::vector<formats::Example> examples{{"lost card", 0, 2}, {"exchange rate", 1, 3}};
  const auto baseline = LinearBaseline::train(examples, 2);
  ASSERT_TRUE(baseline);
  const auto predictions = predict_all(*baseline, examples);
  ASSERT_EQ(predictions.size(), 2u);
  EXPECT_EQ(predictions[0].label, 0);
  EXPECT_EQ(predictions[1].label, 1);
  EXPECT_GT(predictions[0].latency, 0);
}

}  // namespace
}  // namespace bantam::eval
