#include "text/score_bpe.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/rng.h"
#include "text/vectors_for_test.h"

namespace bantam::text {
namespace {

using formats::GgufArray;
using testing::ElementsAre;

formats::GgufWriter small_file(bool bytes) {
  std::vector<std::string> texts = {
      "<unk>", "<s>", "</s>", "a", "b", "ab", std::string(kBlank) + "a", std::string(kBlank), "bb", "<keep>"};
  std::vector<float> scores = {0, 0, 0, -1, -1, -3, -2, -1, -4, 0};
  std::vector<int32_t> types = {2, 3, 3, 1, 1, 1, 1, 1, 1, 4};
  for (int byte = 0; bytes && byte < 256; ++byte) {
    texts.push_back(fmt::format("<0x{:02X}>", byte));
    scores.push_back(0);
    types.push_back(6);
  }
  formats::GgufWriter out;
  out.set("tokenizer.ggml.model", "llama");
  out.set("tokenizer.ggml.tokens", GgufArray(texts));
  out.set("tokenizer.ggml.scores", GgufArray(scores));
  out.set("tokenizer.ggml.token_type", GgufArray(types));
  return out;
}

Result<std::unique_ptr<Tokenizer>> load(const formats::GgufWriter& writer) {
  std::string path = fmt::format("{}bantam-{}-score.gguf", testing::TempDir(), ::getpid());
  EXPECT_TRUE(writer.write(path));
  auto file = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  return load_tokenizer(file.value());
}

TEST(ScoreBpe, MergesByScoreThenFromTheLeft) {
  auto tokenizer = load(small_file(true)).value();
  EXPECT_THAT(tokenizer->encode("ab").value(), ElementsAre(1, 6, 4));  // "_a" (-2) before "ab" (-3)
  EXPECT_THAT(tokenizer->encode("bab").value(), ElementsAre(1, 7, 4, 5));
  EXPECT_THAT(tokenizer->encode("bbb").value(), ElementsAre(1, 7, 8, 4));
  EXPECT_THAT(tokenizer->encode("").value(), ElementsAre(1));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("ab ba").value()), "ab ba");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" ab").value()), " ab");
  EXPECT_EQ(tokenizer->find(" a"), 6);
  EXPECT_EQ(tokenizer->find("</s>"), 2);
  EXPECT_TRUE(tokenizer->is_end(2));
}

TEST(ScoreBpe, BytesAndUnknown) {
  auto tokenizer = load(small_file(true)).value();
  EXPECT_THAT(tokenizer->encode("\xC3\xA9").value(), ElementsAre(1, 7, 10 + 0xC3, 10 + 0xA9));
  EXPECT_EQ(tokenizer->piece(10 + 0xC3), "\xC3");
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (uint64_t n = rng.below(20); n > 0; --n)
      text += rng.chance(0.5) ? "ab "[rng.below(3)] : static_cast<char>(rng.below(256));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).value()), text);
  }
  auto bare = load(small_file(false)).value();
  EXPECT_THAT(bare->encode("a\xC3\xA9"
                           "b")
                  .value(),
              ElementsAre(1, 6, 0, 4));
}

// A byte token's text is another's data: what is no "<0x00>" to "<0xFF>" names no byte (llama.cpp#26511
// called stoi on it).
TEST(ScoreBpe, ByteTokensOfAnyText) {
  for (const char* text : {"<0x>", "<0xGG>", "<0x-1>", "<0x 1>", "<0x+1>", "<0x1>", "0x41", "",
                           "<0x99999999999999999999>", "<0x4\xC3>"}) {
    auto file = small_file(false);
    auto texts = std::get<std::vector<std::string>>(std::get<GgufArray>(*file.find("tokenizer.ggml.tokens")));
    texts[8] = text;
    file.set("tokenizer.ggml.tokens", GgufArray(texts));
    file.set("tokenizer.ggml.token_type", GgufArray(std::vector<int32_t>{2, 3, 3, 1, 1, 1, 1, 1, 6, 4}));
    auto tokenizer = load(file);
    ASSERT_TRUE(tokenizer) << text << tokenizer.error().message;
    EXPECT_THAT((*tokenizer)->encode("aA").value(), ElementsAre(1, 6, 0)) << text;
    (*tokenizer)->decode(std::vector<TokenId>{8});
  }
}

// Lengths and ids beyond an int are refused, not wrapped (llama.cpp's tokenize once took a negative count for
// a large one).
TEST(ScoreBpe, LengthsAndIdsOutsideTheRange) {
  auto tokenizer = load(small_file(true)).value();
  const std::string_view huge("a", size_t{1} << 31);  // never read
  EXPECT_EQ(tokenizer->encode(huge).error().code, Code::kInvalidArgument);
  const std::vector<TokenId> ids = {-1, INT32_MIN, INT32_MAX, 3};
  EXPECT_EQ(tokenizer->decode(ids), "a");
  EXPECT_FALSE(tokenizer->is_end(-1));
  EXPECT_FALSE(tokenizer->is_end(INT32_MAX));
}

TEST(ScoreBpe, ControlTokensOnlyOnRequest) {
  auto tokenizer = load(small_file(true)).value();
  EXPECT_THAT(tokenizer->encode("</s>").value(), testing::Not(testing::Contains(2)));
  EXPECT_THAT(tokenizer->encode("a</s>b", {.add_special = false, .parse_special = true}).value(),
              ElementsAre(6, 2, 7, 4));
  EXPECT_THAT(tokenizer->encode("a<keep>b", {.add_special = false}).value(), ElementsAre(6, 9, 7, 4));
  std::vector<Segment> segments = {{"a", true}, {"b</s>", false}, {"</s>", true}};
  auto ids = tokenizer->encode_segments(segments, true).value();
  EXPECT_THAT(std::vector(ids.begin(), ids.begin() + 3), ElementsAre(1, 6, 4));
  EXPECT_EQ(ids.back(), 2);
  EXPECT_EQ(std::ranges::count(ids, 2), 1);
  EXPECT_EQ(tokenizer->decode(ids), "ab</s>");
}

TEST(ScoreBpe, CorruptKeys) {
  auto file = small_file(true);
  file.set("tokenizer.ggml.scores", GgufArray(std::vector<float>{1}));
  EXPECT_EQ(load(file).error().code, Code::kCorrupt);
  file = small_file(false);
  file.set("tokenizer.ggml.scores", GgufArray(std::vector<float>(10, NAN)));
  EXPECT_EQ(load(file).error().code, Code::kCorrupt);
  file.remove("tokenizer.ggml.scores");
  EXPECT_EQ(load(file).error().code, Code::kNotFound);
}

class ScoreVectors : public testing::TestWithParam<const char*> {};

TEST_P(ScoreVectors, SameIdsAsLlamaCpp) {
  std::string base = kData + "tokenizers/gguf/ggml-vocab-" + GetParam() + ".gguf";
  if (!std::filesystem::exists(base)) GTEST_SKIP() << base << " is not there";
  auto file = formats::GgufFile::open(base);
  ASSERT_TRUE(file) << file.error().message;
  auto tokenizer = load_tokenizer(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(**tokenizer, base);
  auto again = reload(**tokenizer);
  ASSERT_TRUE(again) << again.error().message;
  expect_vectors(**again, base);
}
INSTANTIATE_TEST_SUITE_P(Files, ScoreVectors, testing::Values("llama-spm", "phi-3"));

TEST(ScoreBpe, Stories260K) {
  std::string path = kData + "models/stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  auto file = formats::GgufFile::open(path);
  auto tokenizer = load_tokenizer(file.value());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  std::string text = "Once upon a time, there was a little girl named Lily. \xE2\x98\x83\n";
  auto ids = (*tokenizer)->encode(text).value();
  EXPECT_EQ(ids[0], 1);
  EXPECT_LT(ids.size(), text.size() * 2 / 3);
  EXPECT_EQ((*tokenizer)->decode(ids), text);
}

TEST(Utf8Stream, SplitsAnywhereGiveTheSameText) {
  std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\xFF\xE2\x82(\xF0\x9F\x98";
  std::string expected = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD";
  Rng rng(4);
  for (int i = 0; i < 500; ++i) {
    Utf8Stream stream;
    std::string out;
    for (size_t begin = 0; begin < text.size();) {
      size_t n = 1 + rng.below(4);
      std::string part = stream.push(std::string_view(text).substr(begin, n));
      EXPECT_TRUE(part.empty() || (static_cast<unsigned char>(part[0]) & 0xC0) != 0x80);
      out += part;
      begin += n;
    }
    EXPECT_EQ(out + stream.finish(), expected);
    EXPECT_EQ(stream.finish(), "");
  }
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xF0\x9F"), "");
  EXPECT_EQ(stream.push("\x98\x80!"), "\xF0\x9F\x98\x80!");
}

}  // namespace
}  // namespace bantam::text
