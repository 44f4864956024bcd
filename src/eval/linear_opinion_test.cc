#include "eval/linear_opinion.h"

#include <gmock/gmock.h>

#include <numeric>

namespace bantam::eval {
namespace {

std::vector<formats::Example> noisy_examples() {
  const char* words[3][4] = {{"card", "lost", "stolen", "block"},
                             {"loan", "rate", "interest", "mortgage"},
                             {"hello", "hi", "morning", "bye"}};
  std::vector<formats::Example> out;
  for (int i = 0; i < 60; ++i) {
    const int label = i % 3;
    out.push_back({std::string("my ") + words[label][i / 3 % 4] + " " + words[label][(i / 3 + 1) % 4], label,
                   static_cast<uint64_t>(i + 2)});
  }
  // Noise: what one part holds alone, the others do not know.
  out.push_back({"zebra", 0, 62});
  return out;
}

TEST(LinearOpinion, SaysWhatItWouldSayOfANewText) {
  const auto data = noisy_examples();
  const auto opinion = LinearOpinion::train(data, 3, 5);
  ASSERT_TRUE(opinion) << opinion.error().message;
  EXPECT_GT(opinion->accuracy(), 0.9);
  const auto p = opinion->probabilities(0, data[0].text);
  ASSERT_EQ(p.size(), 3U);
  EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-6);
  EXPECT_GT(p[0], 0.6);
  // The model that is asked about the last example has never seen its word; the others learned it.
  const auto own = opinion->probabilities(60, "zebra"), other = opinion->probabilities(3, "zebra");
  EXPECT_LT(own[0], other[0]);
}

TEST(LinearOpinion, NeedsTwoParts) { EXPECT_FALSE(LinearOpinion::train(noisy_examples(), 3, 1)); }

}  // namespace
}  // namespace bantam::eval
