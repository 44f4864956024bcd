#include "eval/linear_baseline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "eval/metrics.h"

namespace bantam::eval {
namespace {

using testing::HasSubstr;

std::vector<formats::Example> examples(const std::vector<std::pair<std::string, int32_t>>& rows) {
  std::vector<formats::Example> result;
  for (const auto& [text, label] : rows) result.push_back({text, label, result.size() + 2});
  return result;
}

TEST(LinearBaseline, LearnsWhatWordsSay) {
  const auto data = examples({{"my card is lost", 0},
                              {"i lost the card", 0},
                              {"lost card help", 0},
                              {"the transfer failed", 1},
                              {"transfer not received", 1},
                              {"failed transfer again", 1},
                              {"exchange rate today", 2},
                              {"what is the rate", 2},
                              {"rate for euros", 2}});
  const auto model = LinearBaseline::train(data, 4);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->predict("LOST card!"), 0);
  EXPECT_EQ(model->predict("transfer failed"), 1);
  EXPECT_EQ(model->predict("todays rate?"), 2);
  const auto margins = model->decision("my lost card");
  ASSERT_EQ(margins.size(), 4u);
  EXPECT_GT(margins[0], 0);
  EXPECT_LT(margins[1], 0);
  EXPECT_EQ(margins[3], -INFINITY);  // no example had it
  EXPECT_EQ(model->parameters(), (model->features() + 1) * 3);
  EXPECT_GT(model->bytes(), model->parameters() * 4);
  EXPECT_EQ(model->decision("").size(), 4u);
}

TEST(LinearBaseline, TwoLabelsHaveAMarginEach) {
  const auto model =
      LinearBaseline::train(examples({{"good fine", 1}, {"bad awful", 0}, {"fine good", 1}}), 2);
  ASSERT_TRUE(model);
  EXPECT_EQ(model->predict("fine"), 1);
  EXPECT_EQ(model->predict("awful"), 0);
  const auto margins = model->decision("good");
  EXPECT_NEAR(margins[0], -margins[1], 1e-6);
}

TEST(LinearBaseline, IsDeterministic) {
  std::vector<formats::Example> data;
  for (int i = 0; i < 60; ++i) data.push_back({"text number " + std::to_string(i * i), i % 5, 0});
  const auto a = LinearBaseline::train(data, 5), b = LinearBaseline::train(data, 5);
  EXPECT_EQ(a->decision("number 49"), b->decision("number 49"));
}

TEST(LinearBaseline, RefusesWhatItCannotLearnFrom) {
  EXPECT_THAT(LinearBaseline::train({}, 3).error().message, HasSubstr("no training examples"));
  EXPECT_THAT(LinearBaseline::train(examples({{"one thing", 0}, {"another", 0}}), 3).error().message,
              HasSubstr("one label"));
  EXPECT_THAT(LinearBaseline::train(examples({{"one thing", 0}, {"another", 3}}), 3).error().message,
              HasSubstr("line 3 has label 3, expected 0 to 2"));
  EXPECT_THAT(LinearBaseline::train(examples({{"  ", 0}, {" ", 1}}), 2).error().message,
              HasSubstr("no n-gram"));
  EXPECT_FALSE(LinearBaseline::train(examples({{"aa", 0}, {"bb", 1}}), 2, {.c = 0}));
}

TEST(LinearBaseline, ReachesItsKnownAccuracyOnRealQueries) {
  const std::string path = BANTAM_SOURCE_DIR "/../shared/data/banking77/train.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no real data beside the source tree: " << path;
  const auto data = formats::load_labelled(path, "text", "category");
  ASSERT_TRUE(data) << data.error().message;
  const auto parts = formats::split(*data, {0.85, 0.15}, 1);
  const auto model = LinearBaseline::train(parts[0], data->labels.size());
  ASSERT_TRUE(model) << model.error().message;
  uint64_t right = 0;
  for (const auto& example : parts[1]) right += model->predict(example.text) == example.label;
  // 91.2 % on the official test part when trained on everything; here on 85 %. The interval's half is 1.5
  // points.
  const double accuracy = static_cast<double>(right) / static_cast<double>(parts[1].size());
  EXPECT_GT(accuracy, 0.89) << right << " of " << parts[1].size();
  EXPECT_LT(accuracy, 0.93);
}

}  // namespace
}  // namespace bantam::eval
