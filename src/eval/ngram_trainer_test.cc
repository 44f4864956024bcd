#include "eval/ngram_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/rng.h"

namespace bantam::eval {
namespace {

using testing::HasSubstr;

/// Texts of three labels that differ in some words, one in five without any.
std::vector<formats::Example> texts_of_three(size_t n, uint64_t seed) {
  const char* const words[3][4] = {{"refund", "money", "back", "charged"},
                                   {"crash", "error", "screen", "freezes"},
                                   {"invoice", "address", "copy", "vat"}};
  const char* const others[] = {"please", "the", "my", "when", "help", "again", "today", "with"};
  Rng rng(seed);
  std::vector<formats::Example> out;
  for (size_t i = 0; i < n; ++i) {
    const auto label = static_cast<int32_t>(i % 3);
    std::string text;
    for (int w = 0; w < 6; ++w) {
      const bool telling = rng.below(3) == 0;
      text += std::string(text.empty() ? "" : " ") +
              (telling ? words[label][rng.below(4)] : others[rng.below(8)]);
    }
    out.push_back({text, label, i + 2});
  }
  return out;
}

TEST(NgramTrainer, LearnsAndIsDeterministic) {
  const auto train = texts_of_three(300, 1), test = texts_of_three(300, 2);
  const auto opinion = LinearOpinion::train(train, 4);
  ASSERT_TRUE(opinion) << opinion.error().message;
  const auto weights = train_ngrams(train, 4, {.buckets = 512}, &*opinion);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_DOUBLE_EQ(weights->scale, 1 / opinion->temperature());
  EXPECT_EQ(train_ngrams(train, 4, {.buckets = 512}, &*opinion)->values, weights->values);
  formats::GgufWriter writer;
  model::write_ngrams(*weights, 4, writer);
  const std::string path = testing::TempDir() + "ngram-trainer.gguf";
  ASSERT_TRUE(writer.write(path));
  const auto file = formats::GgufFile::open(path);
  const auto part = model::NgramPart::read(*file, 4);
  ASSERT_TRUE(part && *part);
  size_t right = 0, never = 0;
  for (const auto& example : test) {
    const auto scores = (*part)->scores(example.text);
    const auto best = std::ranges::max_element(scores) - scores.begin();
    right += best == example.label ? 1 : 0;
    never += best == 3 ? 1 : 0;  // no example had it
  }
  EXPECT_GT(right, 240U);
  EXPECT_EQ(never, 0U);
  std::filesystem::remove(path);
}

TEST(NgramTrainer, OneExampleOfEachLabelIsEnough) {
  const auto weights = train_ngrams(texts_of_three(3, 1), 3, {.buckets = 64}, nullptr);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_EQ(weights->scale, 4);
}

TEST(NgramTrainer, ErrorsAreThoseOfTheExamples) {
  EXPECT_THAT(train_ngrams({}, 2, {}, nullptr).error().message, HasSubstr("found no training examples"));
  auto examples = texts_of_three(9, 1);
  examples[4].label = 7;
  EXPECT_THAT(train_ngrams(examples, 3, {}, nullptr).error().message, HasSubstr("line 6 has label 7"));
}

}  // namespace
}  // namespace bantam::eval
