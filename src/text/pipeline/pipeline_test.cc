#include "text/pipeline/pipeline.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "base/utf8.h"
#include "text/pipeline/charsmap.h"
#include "text/pipeline/to_gguf.h"
#include "text/pipeline/unicode.h"
#include "text/vectors_for_test.h"

namespace bantam::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The tokenizer.json of that folder, which is stored compressed; empty where it is not there.
std::string json_of(const std::string& name) {
  const std::string path = kData + "tokenizers/hf/" + name;
  if (!std::filesystem::exists(path)) return {};
  std::string out;
  FILE* pipe = ::popen(("xz -dc '" + path + "'").c_str(), "r");
  char buffer[1 << 16];
  for (size_t n; pipe != nullptr && (n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  if (pipe != nullptr) ::pclose(pipe);
  return out;
}

std::string random_characters(Rng& rng) {
  std::string out;
  for (uint64_t n = 1 + rng.below(60); n > 0; --n) {
    switch (rng.below(6)) {
      case 0:
        append_utf8(out, static_cast<uint32_t>(0xA0 + rng.below(0x2000)));
        break;
      case 1:
        append_utf8(out, static_cast<uint32_t>(0x4E00 + rng.below(0x1000)));
        break;
      case 2:
        append_utf8(out, static_cast<uint32_t>(0x1F300 + rng.below(0x300)));
        break;
      case 3:
        out += " \n\t"[rng.below(3)];
        break;
      default:
        out += static_cast<char>(0x20 + rng.below(0x5F));
    }
  }
  return out;
}

/// 1,000 lines of a book.
std::vector<std::string> real_lines() {
  std::istringstream text(read_file(kData + "tinyshakespeare/input.txt").value_or(""));
  std::vector<std::string> out;
  for (std::string line; out.size() < 1000 && std::getline(text, line);) {
    if (!line.empty()) out.push_back(line);
  }
  return out;
}

/// Runs of white space as one space, none at the ends: what is left of it where a normaliser or an unknown
/// token was.
std::string collapsed(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

struct RoundTrip {
  const char* file;
  bool exact;  // byte-level: every text comes back as it was; else what comes back stays the same when it
               // goes again
};

class HuggingFace : public testing::TestWithParam<RoundTrip> {};

TEST_P(HuggingFace, RoundTrips) {
  const std::string json = json_of(GetParam().file);
  if (json.empty()) GTEST_SKIP() << GetParam().file << " is not there";
  auto tokenizer = tokenizer_from_json(json, GetParam().file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  Rng rng(3);
  std::vector<std::string> texts = real_lines();
  for (int i = 0; i < 10'000; ++i) texts.push_back(random_characters(rng));
  size_t wrong = 0;
  for (const auto& text : texts) {
    auto ids = (*tokenizer)->encode(text, {.add_special = false});
    ASSERT_TRUE(ids) << ids.error().message;
    const std::string decoded = (*tokenizer)->decode(*ids),
                      once = GetParam().exact ? decoded : collapsed(decoded);
    if (GetParam().exact) {
      wrong += once != text ? 1 : 0;
      if (once != text && wrong < 4)
        ADD_FAILURE() << testing::PrintToString(text) << testing::PrintToString(once);
    } else {
      auto again = (*tokenizer)->encode(once, {.add_special = false});
      ASSERT_TRUE(again);
      const std::string twice = collapsed((*tokenizer)->decode(*again));
      wrong += twice != once ? 1 : 0;
      if (twice != once && wrong < 4)
        ADD_FAILURE() << testing::PrintToString(once) << testing::PrintToString(twice);
    }
  }
  EXPECT_EQ(wrong, 0U) << "of " << texts.size();
}
INSTANTIATE_TEST_SUITE_P(Files, HuggingFace,
                         testing::Values(RoundTrip{"gpt2/tokenizer.json.xz", true},
                                         RoundTrip{"smollm/tokenizer.json.xz", true},
                                         RoundTrip{"gpt-neox/20B_tokenizer.json.xz", false},
                                         RoundTrip{"llama2/tokenizer.json.xz", true},
                                         RoundTrip{"phi3/tokenizer.json.xz", true},
                                         RoundTrip{"t5-small/tokenizer.json.xz", false},
                                         RoundTrip{"bert-uncased/tokenizer.json.xz", false}),
                         [](const auto& info) {
                           std::string name = info.param.file;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

/// Ids of llama.cpp for the same vocabulary.
class SameVocabulary : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(SameVocabulary, SameIdsAsLlamaCpp) {
  const auto [file, vectors] = GetParam();
  const std::string json = json_of(file);
  if (json.empty()) GTEST_SKIP() << file << " is not there";
  auto tokenizer = tokenizer_from_json(json, file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(**tokenizer, kData + "tokenizers/gguf/ggml-vocab-" + vectors + ".gguf",
                 /*round_trip=*/false);
}
INSTANTIATE_TEST_SUITE_P(Files, SameVocabulary,
                         testing::Values(std::pair("gpt2/tokenizer.json.xz", "gpt-2"),
                                         std::pair("llama2/tokenizer.json.xz", "llama-spm"),
                                         std::pair("phi3/tokenizer.json.xz", "phi-3"),
                                         std::pair("bert-uncased/tokenizer.json.xz", "bert-bge")));

class ToGguf : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ToGguf, GivesTheSameIds) {
  const auto [name, model] = GetParam();
  const std::string json = json_of(name);
  if (json.empty()) GTEST_SKIP() << name << " is not there";
  auto original = tokenizer_from_json(json, name);
  formats::GgufWriter writer;
  auto notes = tokenizer_json_to_gguf(json, nlohmann::json::object(), name, 0, writer);
  ASSERT_TRUE(notes) << notes.error().message;
  EXPECT_EQ(std::get<std::string>(*writer.find("tokenizer.ggml.model")), model);
  const std::string path = fmt::format("{}bantam-{}-to.gguf", testing::TempDir(), ::getpid());
  ASSERT_TRUE(writer.write(path));
  auto file = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  auto copy = load_tokenizer(file.value());
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(first_difference(**original, **copy), std::nullopt);
  size_t different = 0;
  for (const auto& line : real_lines())
    different += (*original)->encode(line, {.add_special = false}).value() !=
                         (*copy)->encode(line, {.add_special = false}).value()
                     ? 1
                     : 0;
  EXPECT_EQ(different, 0U);
}
INSTANTIATE_TEST_SUITE_P(Files, ToGguf,
                         testing::Values(std::pair("gpt2/tokenizer.json.xz", "gpt2"),
                                         std::pair("smollm/tokenizer.json.xz", "gpt2"),
                                         std::pair("llama2/tokenizer.json.xz", "llama"),
                                         std::pair("phi3/tokenizer.json.xz", "llama"),
                                         std::pair("bert-uncased/tokenizer.json.xz", "bert")));

TEST(WordPiece, SameIdsAsLlamaCpp) {
  const std::string base = kData + "tokenizers/gguf/ggml-vocab-bert-bge.gguf";
  if (!std::filesystem::exists(base)) GTEST_SKIP() << base << " is not there";
  auto file = formats::GgufFile::open(base);
  auto tokenizer = load_tokenizer(file.value());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(**tokenizer, base, /*round_trip=*/false);
  auto again = reload(**tokenizer);
  ASSERT_TRUE(again) << again.error().message;
  expect_vectors(**again, base, /*round_trip=*/false);
  EXPECT_EQ((*again)->decode((*again)->encode("Hello, w\xC3\xB6rld").value()), "hello , world");
  auto ids = (*again)->encode("x").value();
  EXPECT_EQ(ids.front(), 101);
  EXPECT_EQ(ids.back(), 102);
}

using Json = nlohmann::json;

Json small() {
  return Json::parse(
      R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"c":3,"<unk>":4},"merges":["a b"],"unk_token":"<unk>"},
    "added_tokens":[{"id":5,"content":"<s>","special":true,"lstrip":false,"rstrip":false,"normalized":false,"single_word":false}]})");
}

std::vector<TokenId> ids_of(const Json& json, std::string_view text, EncodeOptions options = {}) {
  auto tokenizer = tokenizer_from_json(json.dump(), "test");
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  auto ids = (*tokenizer)->encode(text, options);
  EXPECT_TRUE(ids) << ids.error().message;
  return *ids;
}

TEST(TokenizerJson, AddedTokensAndTheirFlags) {
  Json json = small();
  EXPECT_THAT(ids_of(json, "ab<s>", {.parse_special = true}), ElementsAre(2, 5));
  EXPECT_THAT(ids_of(json, "<s>"), ElementsAre(4, 4, 4));
  auto& token = json["added_tokens"][0];
  token["special"] = false;
  EXPECT_THAT(ids_of(json, "ab <s> c"), ElementsAre(2, 4, 5, 4, 3));
  token["lstrip"] = true;
  EXPECT_THAT(ids_of(json, "ab <s> c"), ElementsAre(2, 5, 4, 3));
  token["rstrip"] = true;
  EXPECT_THAT(ids_of(json, "ab <s> c"), ElementsAre(2, 5, 3));
  token["content"] = "c";
  token["single_word"] = true;
  EXPECT_THAT(ids_of(json, "c ac c"), ElementsAre(5, 0, 3, 5));
  token["single_word"] = false;
  token["normalized"] = true;
  token["content"] = "X";
  json["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(ids_of(json, "AxB"), ElementsAre(0, 5, 1));
}

TEST(TokenizerJson, Stages) {
  Json json = small();
  json["pre_tokenizer"] = {{"type", "Whitespace"}};
  EXPECT_THAT(ids_of(json, "a b ab"), ElementsAre(0, 1, 2));
  json["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\s+"}}}, {"behavior", "Removed"}, {"invert", false}};
  EXPECT_THAT(ids_of(json, "a \n b"), ElementsAre(0, 1));
  json["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", "ab"}};
  json["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", Json::array({{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}})},
      {"special_tokens", {{"<s>", {{"ids", {5}}}}}}};
  EXPECT_THAT(ids_of(json, "x"), ElementsAre(5, 2));
  json["model"] = {{"type", "WordLevel"}, {"vocab", {{"ab", 0}, {"?", 1}}}, {"unk_token", "?"}};
  EXPECT_THAT(ids_of(json, "x y"), ElementsAre(5, 0, 1));
}

TEST(TokenizerJson, Errors) {
  auto error = [](const Json& json) {
    auto tokenizer = tokenizer_from_json(json.dump(), "t.json");
    return tokenizer ? Error{} : tokenizer.error();
  };
  EXPECT_EQ(tokenizer_from_json("{", "t.json").error().code, Code::kCorrupt);
  const auto deep = tokenizer_from_json(R"({"model":)" + std::string(1'000'000, '['), "t.json");
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Code::kLimit);
  EXPECT_EQ(deep.error().message.substr(0, 14), "t.json: nested");
  EXPECT_EQ(error(Json::array()).code, Code::kCorrupt);
  for (auto change : std::initializer_list<std::pair<const char*, Json>>{
           {"/model/type", "Nothing"},
           {"/pre_tokenizer", {{"type", "Nothing"}}},
           {"/normalizer", {{"type", "Nothing"}}},
           {"/decoder", {{"type", "Nothing"}}},
           {"/post_processor", {{"type", "Nothing"}}},
           {"/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "("}}}}}}) {
    Json json = small();
    json[Json::json_pointer(change.first)] = change.second;
    EXPECT_EQ(error(json).code, Code::kUnsupported) << change.first;
    EXPECT_THAT(error(json).message, HasSubstr("t.json"));
  }
  for (auto change : std::initializer_list<std::pair<const char*, Json>>{
           {"/model/vocab/a", -1},
           {"/model/vocab/a", 1.5},
           {"/model/vocab/a", 99'999'999},
           {"/model/merges", {"a x"}},
           {"/model/merges", {"ab"}},
           {"/added_tokens/0/id", -7},
           {"/added_tokens/0/id", 9'999'999},
           {"/added_tokens/0/special", 1},
           {"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "////"}}},
           {"/post_processor", {{"type", "BertProcessing"}, {"sep", {"x", 1 << 29}}, {"cls", {"x", 0}}}}}) {
    Json json = small();
    json[Json::json_pointer(change.first)] = change.second;
    EXPECT_EQ(error(json).code, Code::kCorrupt) << change.first << change.second;
  }
  Json nested = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  for (int i = 0; i < 200; ++i) nested = {{"type", "Sequence"}, {"normalizers", Json::array({nested})}};
  Json json = small();
  json["normalizer"] = nested;
  EXPECT_EQ(error(json).code, Code::kLimit);
}

TEST(Unigram, TheBestSumOfScores) {
  formats::GgufWriter file;
  const std::string blank = "\xE2\x96\x81";
  file.set("tokenizer.ggml.model", "t5");
  file.set("tokenizer.ggml.tokens", formats::GgufArray(std::vector<std::string>{
                                        "<pad>", "</s>", "<unk>", blank, "a", "b", "ab", blank + "a"}));
  file.set("tokenizer.ggml.scores", formats::GgufArray(std::vector<float>{0, 0, 0, -1, -1, -1, -1.5F, -3}));
  file.set("tokenizer.ggml.token_type", formats::GgufArray(std::vector<int32_t>{3, 3, 2, 1, 1, 1, 1, 1}));
  const std::string path = fmt::format("{}bantam-{}-unigram.gguf", testing::TempDir(), ::getpid());
  ASSERT_TRUE(file.write(path));
  auto parsed = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  auto tokenizer = load_tokenizer(parsed.value());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_THAT((*tokenizer)->encode("ab").value(), ElementsAre(3, 6, 1));
  EXPECT_THAT((*tokenizer)->encode("  a   xyb ").value(), ElementsAre(3, 4, 3, 2, 5, 1));
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("ab ab").value()), "ab ab");
  EXPECT_TRUE((*tokenizer)->is_end(1));
  EXPECT_FALSE((*tokenizer)->is_end(5));
  file.set("tokenizer.ggml.eos_token_ids", formats::GgufArray(std::vector<int32_t>{1, 5}));
  ASSERT_TRUE(file.write(path));
  parsed = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  EXPECT_TRUE(load_tokenizer(parsed.value()).value()->is_end(5));
}

TEST(CharsMap, HostileBytes) {
  Rng rng(9);
  for (int i = 0; i < 20'000; ++i) {
    std::string blob;
    const auto units = static_cast<uint32_t>(1 + rng.below(16));
    const uint32_t size = rng.chance(0.9) ? units * 4 : static_cast<uint32_t>(rng.below(100));
    blob.append(reinterpret_cast<const char*>(&size), 4);
    for (uint64_t n = units * 4 + rng.below(9); n > 0; --n)
      blob += static_cast<char>(rng.below(rng.chance(0.5) ? 4 : 256));
    auto map = CharsMap::parse(blob);
    if (map) map->normalized("abc\x01\x02\x03");
  }
}

TEST(Unicode, Forms) {
  EXPECT_EQ(normal_form("e\xCC\x81\xEF\xAC\x81", NormalForm::kNfc), "\xC3\xA9\xEF\xAC\x81");
  EXPECT_EQ(normal_form("\xC3\xA9\xEF\xAC\x81", NormalForm::kNfkd),
            "e\xCC\x81"
            "fi");
  EXPECT_EQ(normal_form("\xC3\xA9\xFF\xC3\xA9", NormalForm::kNfd),
            "e\xCC\x81\xFF"
            "e\xCC\x81");
  EXPECT_EQ(lower_case("\xC3\x84\xC4\xB0 A"), "\xC3\xA4i\xCC\x87 a");
}

}  // namespace
}  // namespace bantam::text
