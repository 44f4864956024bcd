#include "text/pipeline/to_json.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "text/bpe.h"
#include "text/pipeline/base64.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"

namespace bantam::text {
namespace {

using formats::GgufArray;
using formats::GgufFile;
using formats::GgufWriter;
using testing::HasSubstr;
using testing::IsEmpty;
using Json = nlohmann::json;

GgufFile written(const GgufWriter& writer) {
  const std::string path = fmt::format("{}bantam-{}-to-json.gguf", testing::TempDir(), ::getpid());
  EXPECT_TRUE(writer.write(path));
  auto file = GgufFile::open(path);
  EXPECT_TRUE(file) << file.error().message;
  std::filesystem::remove(path);
  return std::move(*file);
}

void set_tokens(GgufWriter& file, const char* model, const std::vector<std::string>& texts,
                const std::vector<int32_t>& types, const std::vector<float>& scores) {
  file.set("tokenizer.ggml.model", std::string(model));
  file.set("tokenizer.ggml.tokens", GgufArray(texts));
  file.set("tokenizer.ggml.token_type", GgufArray(types));
  if (!scores.empty()) file.set("tokenizer.ggml.scores", GgufArray(scores));
}

/// Both ways: the ids of the GGUF, of its tokenizer.json, and of the GGUF that comes of that.
void expect_same(const GgufFile& file, const std::vector<std::string>& texts) {
  const auto hf = tokenizer_to_hf(file, 512);
  ASSERT_TRUE(hf) << hf.error().message;
  const auto original = load_tokenizer(file),
             read = Result<std::unique_ptr<Tokenizer>>(
                 tokenizer_from_json(hf->tokenizer, "tokenizer.json").value());
  ASSERT_TRUE(original) << original.error().message;
  GgufWriter again;
  const auto notes =
      tokenizer_json_to_gguf(hf->tokenizer, Json::parse(hf->config), "tokenizer.json", (*original)->vocab_size(), again);
  ASSERT_TRUE(notes) << notes.error().message;
  const auto back_file = written(again);
  const auto back = load_tokenizer(back_file);
  ASSERT_TRUE(back) << back.error().message;
  for (const auto& text : texts) {
    for (bool special : {false, true}) {
      const EncodeOptions how{.add_special = special, .parse_special = true};
      const auto ids = (*original)->encode(text, how).value();
      EXPECT_EQ((*read)->encode(text, how).value(), ids) << text;
      EXPECT_EQ((*back)->encode(text, how).value(), ids) << text;
      EXPECT_EQ((*read)->decode(ids, true), (*original)->decode(ids, true)) << text;
    }
  }
  EXPECT_EQ((*back)->bos(), (*original)->bos());
  EXPECT_EQ((*back)->eos(), (*original)->eos());
}

const std::vector<std::string> kSamples{"", "the the cat", " a  cat\n", "cat<e>the</s>",
                                        "caf\xC3\xA9 \xE4\xBD\xA0"};

TEST(ToJson, ByteLevelBpe) {
  const std::vector<std::string> texts{"the cat sat on the mat, the cat"};
  const auto tokenizer =
      train_bpe(texts, {.vocab_size = 300, .control = {"<e>", "</s>"}, .whole = {}, .min_frequency = 2});
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  GgufWriter file;
  (*tokenizer)->save(file);
  file.set("tokenizer.ggml.bos_token_id", uint32_t{(*tokenizer)->vocab_size() > 2 ? 256U : 0U});
  file.set("tokenizer.ggml.add_bos_token", true);
  file.set("tokenizer.chat_template", std::string("{{ messages }}"));
  const auto source = written(file);
  expect_same(source, kSamples);
  const auto hf = tokenizer_to_hf(source, 99).value();
  EXPECT_THAT(hf.notes, IsEmpty());
  const Json config = Json::parse(hf.config);
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  EXPECT_EQ(config["model_max_length"], 99);
}

GgufWriter scored() {
  std::vector<std::string> texts{"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types{2, 3, 3};
  std::vector<float> scores{0, 0, 0};
  for (int byte = 0; byte < 256; ++byte) {
    texts.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
    scores.push_back(0);
  }
  float score = -1;
  for (const char* piece : {"\xE2\x96\x81t", "he", "\xE2\x96\x81the", "at",
                            "\xE2\x96\x81"
                            "c",
                            "\xE2\x96\x81"
                            "cat",
                            "t", "h", "e", "a", "c", "\xE2\x96\x81", "\xC3\xA9", "f"}) {
    texts.emplace_back(piece);
    types.push_back(1);
    scores.push_back(score--);
  }
  texts.emplace_back("<e>");
  types.push_back(4);
  scores.push_back(0);
  GgufWriter out;
  set_tokens(out, "llama", texts, types, scores);
  return out;
}

TEST(ToJson, SentencePieceBpe) {
  expect_same(written(scored()), kSamples);
  GgufWriter without_prefix = scored();
  without_prefix.set("tokenizer.ggml.add_space_prefix", false);
  without_prefix.set("tokenizer.ggml.add_eos_token", true);
  expect_same(written(without_prefix), kSamples);
  const auto hf = tokenizer_to_hf(written(scored()), 8).value();
  EXPECT_THAT(hf.notes, IsEmpty());
  const Json json = Json::parse(hf.tokenizer);
  // The piece with the best score is put together first.
  EXPECT_EQ(json["model"]["merges"][0], "\xE2\x96\x81 t");
  EXPECT_EQ(json["model"]["byte_fallback"], true);
}

TEST(ToJson, Unigram) {
  GgufWriter file;
  set_tokens(file, "t5",
             {"<pad>", "</s>", "<unk>", "\xE2\x96\x81the", "\xE2\x96\x81", "cat",
              "\xE2\x96\x81"
              "cat",
              "t", "h", "e", "a", "c"},
             {3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {0, 0, 0, -2, -3, -4, -3.5F, -6, -6, -6, -6, -6});
  expect_same(written(file), {"", "the the cat", " a  cat", "the</s>"});
  file.set("tokenizer.ggml.add_space_prefix", false);
  expect_same(written(file), {"the cat"});
}

TEST(ToJson, WordPiece) {
  GgufWriter file;
  set_tokens(file, "bert",
             {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "\xE2\x96\x81the",
              "\xE2\x96\x81"
              "cat",
              "s", "\xE2\x96\x81,", "\xE2\x96\x81The"},
             {3, 2, 3, 3, 1, 1, 1, 1, 1}, {});
  for (const auto& [key, id] :
       {std::pair("bos", 2U), {"eos", 3U}, {"unknown", 1U}, {"seperator", 3U}, {"padding", 0U}})
    file.set(fmt::format("tokenizer.ggml.{}_token_id", key), id);
  file.set("tokenizer.ggml.add_bos_token", true);
  file.set("tokenizer.ggml.add_eos_token", true);
  expect_same(written(file), {"the cats, The dog", "[SEP] the"});
  file.set("tokenizer.ggml.normalizer.lowercase", false);
  file.set("tokenizer.ggml.normalizer.strip_accents", false);
  expect_same(written(file), {"The the"});
}

TEST(ToJson, WhatJsonCannotHoldIsNamed) {
  GgufWriter file = scored();
  set_tokens(file, "llama", {"<unk>", "<s>", "a", "a"}, {2, 3, 1, 1}, {0, 0, -1, -2});
  const auto hf = tokenizer_to_hf(written(file), 8);
  ASSERT_FALSE(hf);
  EXPECT_THAT(hf.error().message, HasSubstr("\"a\" as tokens 2 and 3"));
}

TEST(Base64, ThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(to_base64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(from_base64("a?"), std::nullopt);
}

}  // namespace
}  // namespace bantam::text
