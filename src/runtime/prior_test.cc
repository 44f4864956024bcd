// What is added to the scores of choices: a prior, and the n-gram part of a classifier that gives one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/random_engine_for_test.h"

namespace bantam::runtime {
namespace {

using testing::HasSubstr;

/// Of two labels: the word "refund" says the second.
model::NgramWeights refund_says_the_second() {
  model::NgramWeights out{.shape = {.buckets = 1024}, .idf = std::vector<float>(1024, 1.0F), .scale = 40};
  out.values.assign(2048, 0.0F);
  for (const auto& feature : model::ngram_features("refund", out.shape, out.idf))
    out.values[feature.bucket * 2 + 1] = feature.value;
  out.bias = {0.5F, 0.0F};
  return out;
}

TEST(Prior, IsAddedToTheScores) {
  const auto engine = random_engine();
  auto session = *engine->new_session();
  const std::vector<TokenId> prompt = {5, 9, 30};
  const std::vector<std::vector<TokenId>> choices = {{7}, {8}, {9, 10}};
  const std::vector<double> prior = {0, 1.5, -2};
  const auto plain = session->choose(prompt, choices),
             moved = session->choose(prompt, choices, 2.0, {}, prior);
  ASSERT_TRUE(plain && moved);
  double total = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_DOUBLE_EQ(moved->scores[i], plain->scores[i] + prior[i]);
    total += std::exp(moved->scores[i] / 2);
  }
  EXPECT_NEAR(moved->probabilities[1], std::exp(moved->scores[1] / 2) / total, 1e-12);
  const std::vector<double> two = {1, 2};
  EXPECT_THAT(session->choose(prompt, choices, 1.0, {}, two).error().message,
              HasSubstr("prior: found 2 numbers, expected one for each of 3 choices"));
}

TEST(Prior, ComesFromTheFilesNgrams) {
  const auto plain = random_engine({.labels = {"other", "money"}}),
             wide = random_engine({.labels = {"other", "money"}, .ngrams = refund_says_the_second()});
  EXPECT_TRUE(plain->task_prior("refund").empty());
  EXPECT_EQ(wide->task_prior("").size(), 2U);
  EXPECT_EQ(wide->parameters() - plain->parameters(), 1025U * 2);
  EXPECT_EQ(wide->memory().weights - plain->memory().weights, 1024U * (1 + 4 + 4) + 2 * 4);
  auto narrow_session = *plain->new_session(), wide_session = *wide->new_session();
  for (const auto& [text, label] : {std::pair("a refund please", 1U), std::pair("good morning", 0U)}) {
    const auto a = plain->classify(*narrow_session, text), b = wide->classify(*wide_session, text);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(b->best, label) << text;
    const auto prior = wide->task_prior(text);
    for (size_t i = 0; i < 2; ++i) EXPECT_DOUBLE_EQ(b->scores[i], a->scores[i] + prior[i]);
  }
}

TEST(Prior, BrokenKeysAreRefusedAtLoading) {
  auto broken = refund_says_the_second();
  broken.bias.pop_back();
  const auto path = testing::TempDir() + "broken-ngrams.gguf";
  ASSERT_TRUE(
      model::write_random_model(path, model::tiny_config(), tensor::DType::kF32, 1, {"other", "money"}));
  {
    const auto file = formats::GgufFile::open(path);
    formats::GgufWriter writer;
    writer.copy_metadata(*file);
    model::write_ngrams(broken, 2, writer);
    for (const auto& tensor : file->tensors())
      ASSERT_TRUE(writer.borrow_tensor(tensor.name, tensor.type, tensor.shape, file->data(tensor)));
    ASSERT_TRUE(writer.write(path));
  }
  EXPECT_THAT(Engine::load(path, {.threads = 1}).error().message,
              HasSubstr("bantam.ngrams.bias: found 1 elements, expected 2"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace bantam::runtime
