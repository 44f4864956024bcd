#include "model/ngram_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/rng.h"

namespace bantam::model {
namespace {

using formats::GgufArray;
using formats::GgufFile;
using formats::GgufWriter;
using testing::HasSubstr;

/// `n` random weights for three labels.
NgramWeights random_weights(uint32_t buckets, size_t labels) {
  Rng rng(3);
  NgramWeights out{.shape = {.buckets = buckets}, .scale = 2.5};
  for (uint32_t i = 0; i < buckets; ++i) out.idf.push_back(1 + static_cast<float>(rng.uniform()));
  for (size_t i = 0; i < buckets * labels; ++i) out.values.push_back(static_cast<float>(rng.normal()));
  for (size_t i = 0; i < labels; ++i) out.bias.push_back(static_cast<float>(rng.normal()));
  return out;
}

class NgramFile : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  GgufFile written(const GgufWriter& writer) {
    EXPECT_TRUE(writer.write(path_));
    auto file = GgufFile::open(path_);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  std::string path_ = testing::TempDir() + "ngrams.gguf";
};

TEST(NgramFeatures, CountsWordsAndCharactersEachOfLengthOne) {
  const NgramShape shape{.buckets = 1 << 20};
  // One word: its only word n-gram and the character n-grams of " ab ": " a", "ab", "b ", " ab", "ab ", " ab
  // ".
  const auto one = ngram_features("ab", shape, {});
  ASSERT_EQ(one.size(), 7U);
  double words = 0, squares = 0;
  for (const auto& [bucket, value] : one) {
    squares += value * value;
    words += value == 1.0F ? 1 : 0;
  }
  EXPECT_EQ(words, 1);
  EXPECT_NEAR(squares, 2, 1e-6);
  EXPECT_TRUE(std::ranges::is_sorted(one, {}, &NgramWeight::bucket));
  // Case and white space do not count, order does.
  const auto same = ngram_features("  AB\n", shape, {});
  ASSERT_EQ(same.size(), one.size());
  EXPECT_EQ(same[3].bucket, one[3].bucket);
  EXPECT_NE(ngram_features("cd ab", shape, {})[0].bucket, 0U);
  EXPECT_TRUE(ngram_features("", shape, {}).empty());
  EXPECT_TRUE(ngram_features(" \t\n", shape, {}).empty());
}

TEST(NgramFeatures, WeighsByIdf) {
  const NgramShape shape{.buckets = 16};
  std::vector<float> idf(16, 2.0F);
  const auto plain = ngram_features("a longer text of some words", shape, {}),
             weighed = ngram_features("a longer text of some words", shape, idf);
  ASSERT_EQ(plain.size(), weighed.size());
  for (size_t i = 0; i < plain.size(); ++i)
    EXPECT_NEAR(plain[i].value, weighed[i].value, 1e-6);  // scaled away
  idf[plain[0].bucket] = 0;
  EXPECT_EQ(ngram_features("a longer text of some words", shape, idf)[0].value, 0.0F);
}

TEST_F(NgramFile, ScoresAreTheWeightsSumWithinTheRounding) {
  for (const size_t labels : {2, 3, 77}) {
    const NgramWeights weights = random_weights(64, labels);
    GgufWriter writer;
    writer.set("general.architecture", std::string("llama"));
    write_ngrams(weights, labels, writer);
    const GgufFile file = written(writer);
    const auto part = NgramPart::read(file, labels);
    ASSERT_TRUE(part && *part) << part.error().message;
    const std::string text = "Where is my card? It has not come.";
    const auto found = (*part)->scores(text);
    ASSERT_EQ(found.size(), labels);
    const auto features = ngram_features(text, weights.shape, weights.idf);
    for (size_t label = 0; label < labels; ++label) {
      double exact = weights.bias[label], bound = 0;
      for (const auto& [bucket, value] : features) {
        exact += value * weights.values[bucket * labels + label];
        float most = 0;
        for (size_t k = 0; k < labels; ++k)
          most = std::max(most, std::abs(weights.values[bucket * labels + k]));
        bound += value * most / 7 / 2 * 1.0001;  // half a step of 4 bits
      }
      EXPECT_NEAR(found[label] / weights.scale, exact, bound + 1e-6) << label;
    }
    EXPECT_EQ((*part)->parameters(), 65 * labels);
  }
}

TEST_F(NgramFile, WithoutTheKeysThereIsNone) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  const GgufFile file = written(writer);
  const auto part = NgramPart::read(file, 3);
  ASSERT_TRUE(part);
  EXPECT_FALSE(*part);
}

TEST_F(NgramFile, WhatIsWrongIsNamed) {
  const auto error_of = [&](const std::function<void(GgufWriter&)>& spoil, size_t labels = 3) {
    GgufWriter writer;
    write_ngrams(random_weights(64, 3), 3, writer);
    spoil(writer);
    const GgufFile file = written(writer);
    const auto part = NgramPart::read(file, labels);
    EXPECT_FALSE(part);
    return part ? std::string() : part.error().message;
  };
  const auto with = [&](const char* key, formats::GgufValue value) {
    return error_of([&](GgufWriter& w) { w.set(key, value); });
  };
  EXPECT_THAT(with("bantam.ngrams.buckets", uint32_t{63}), HasSubstr("found 63, expected a power of two"));
  EXPECT_THAT(with("bantam.ngrams.buckets", uint32_t{128}),
              HasSubstr("bantam.ngrams.idf: found 64 elements, expected 128"));
  EXPECT_THAT(with("bantam.ngrams.words", GgufArray(std::vector<uint32_t>{2, 1})), HasSubstr("found [2, 1]"));
  EXPECT_THAT(with("bantam.ngrams.characters", GgufArray(std::vector<uint32_t>{1, 17})),
              HasSubstr("from 1 to 16"));
  EXPECT_THAT(with("bantam.ngrams.scale", -1.0), HasSubstr("found -1, expected a number from 0 on"));
  EXPECT_THAT(with("bantam.ngrams.idf", std::string("x")),
              HasSubstr("found another type, expected an array of f32"));
  EXPECT_THAT(
      with("bantam.ngrams.bias", GgufArray(std::vector<float>{0, 0, std::numeric_limits<float>::infinity()})),
      HasSubstr("bantam.ngrams.bias: found inf at index 2"));
  EXPECT_THAT(with("bantam.ngrams.row_scales", GgufArray(std::vector<float>(64, -1.0F))),
              HasSubstr("found -1 at index 0, expected a non-negative number"));
  EXPECT_THAT(error_of([](GgufWriter& w) { w.remove("bantam.ngrams.quanta"); }),
              HasSubstr("bantam.ngrams.quanta: found nothing"));
  EXPECT_THAT(error_of([](GgufWriter&) {}, 5), HasSubstr("bantam.ngrams.bias: found 3 elements, expected 5"));
}

}  // namespace
}  // namespace bantam::model
