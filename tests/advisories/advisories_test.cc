// What went wrong elsewhere: a test for each advisory that concerns the engine, named after it.

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "capi/bantam.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model/hf_import.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/vocabulary.h"
#include "server/chat_request.h"
#include "text/bpe.h"
#include "text/jinja/interpreter.h"

namespace bantam {
namespace {

using formats::GgufArray;
using formats::GgufFile;
using testing::HasSubstr;

/// The beginning of a GGUF that no writer would write.
struct Gguf {
  std::string bytes = "GGUF";
  template <class T>
  Gguf& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Gguf& text(std::string_view value) {
    put(uint64_t{value.size()});
    bytes += value;
    return *this;
  }
  Gguf& counts(uint64_t tensors, uint64_t pairs) { return put(uint32_t{3}).put(tensors).put(pairs); }
  Gguf& tensor(std::string_view name, const std::vector<uint64_t>& shape, uint64_t offset) {
    text(name).put(static_cast<uint32_t>(shape.size()));
    for (const uint64_t side : shape) put(side);
    return put(uint32_t{0}).put(offset);
  }
  /// Refused by the parser and, as a model, by the C API.
  void refused() {
    bytes.append(4096, '\0');
    const auto file = GgufFile::parse(std::as_bytes(std::span(bytes)), "bad.gguf");
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, Code::kCorrupt) << file.error().message;
    bantam_model* model = nullptr;
    EXPECT_EQ(bantam_model_load_memory(bytes.data(), bytes.size(), nullptr, &model), BANTAM_CORRUPT);
    EXPECT_EQ(model, nullptr);
  }
};

constexpr uint64_t kHuge = UINT64_MAX;

/// The sizes of tensors, padded and added up, wrapped around, and a small buffer was filled with all of them.
TEST(Advisories, CVE_2025_53630_GgufTensorSizesThatWrap) {
  Gguf().counts(1, 0).tensor("t", {uint64_t{1} << 62, 4}, 0).refused();
  Gguf().counts(1, 0).tensor("t", {uint64_t{1} << 62}, 0).refused();
  Gguf().counts(1, 0).tensor("t", {16}, kHuge - 31).refused();
  Gguf().counts(1, 0).tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32, 1, 1}, 0).refused();
  const uint64_t most = (uint64_t{1} << 62) - 8;  // its bytes, rounded up to 32, are the last that fit
  Gguf().counts(2, 0).tensor("t", {most}, 0).tensor("u", {most}, most * 4).refused();
}

/// The same in the sizes of metadata and of the tensors' descriptions, past the first check.
TEST(Advisories, CVE_2026_27940_GgufCountsThatWrap) {
  Gguf().counts(kHuge, 0).refused();
  Gguf().counts(kHuge / 368 + 1, 0).refused();  // times what a description takes in memory
  Gguf().counts(0, kHuge).refused();
  Gguf().counts(0, 1).put(kHuge).refused();                                 // the length of a key
  Gguf().counts(0, 1).text("k").put(uint32_t{8}).put(kHuge - 7).refused();  // of a text
  for (const uint32_t element : {0U, 4U, 8U, 10U}) {                        // of an array
    for (const uint64_t count : {kHuge, (kHuge >> 3) + 1, uint64_t{1} << 63})
      Gguf().counts(0, 1).text("k").put(uint32_t{9}).put(element).put(count).refused();
  }
}

/// A negative number of tokens to discard, taken from a request's JSON, became an index before the buffer.
TEST(Advisories, CVE_2026_21869_NegativeNumbersInRequests) {
  const auto read = [](const std::string& members) {
    return server::read_chat_request(
        R"({"model":"m","messages":[{"role":"user","content":"q"}],)" + members + "}", {});
  };
  ASSERT_TRUE(read(R"("context_shift":true,"n_keep":5)"));
  for (const char* members :
       {R"("context_shift":true,"n_keep":-1)", R"("context_shift":true,"n_keep":-9223372036854775808)",
        R"("n_keep":4294967296,"context_shift":true)", R"("n_keep":1e30,"context_shift":true)",
        R"("n_discard":-1)", R"("max_tokens":-1)", R"("top_k":-1)", R"("n":-1)",
        R"("top_logprobs":-1,"logprobs":true)", R"("lora":[{"id":-1,"scale":1}])",
        R"("lora":[{"id":0,"scale":1e300}])"}) {
    const auto request = read(members);
    ASSERT_FALSE(request) << members;
    EXPECT_EQ(request.error().status, 400) << members;
  }
}

/// GHSA-3mwp-wvh9-7528: one request asked for as many answers as a number can hold.
TEST(Advisories, GHSA_3mwp_wvh9_7528_UnboundedN) {
  for (const char* n : {"9", "1000000", "4294967297", "18446744073709551615", "1e18"}) {
    const auto request = server::read_chat_request(
        fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"q"}}],"n":{}}})", n),
        {.max_answers = 8});
    ASSERT_FALSE(request) << n;
    EXPECT_EQ(request.error().param, "n");
  }
}

std::unique_ptr<text::Tokenizer> some_tokenizer() {
  const std::vector<std::string> texts{"the quick brown fox"};
  return *text::train_bpe(texts,
                          {.vocab_size = 270, .control = {"<|end|>"}, .whole = {}, .min_frequency = 2});
}

/// A count of tokens was compared as signed where it was unsigned: a negative one was written behind a
/// buffer.
TEST(Advisories, SignednessInTokenize) {
  const auto tokenizer = some_tokenizer();
  for (const size_t length : {size_t{1} << 31, size_t{1} << 32, (size_t{1} << 63) + 1}) {
    const std::string_view huge("a", length);  // never read
    EXPECT_EQ(tokenizer->encode(huge).error().code, Code::kInvalidArgument);
  }
  const std::vector<text::TokenId> ids{-1, INT32_MIN, INT32_MAX};
  EXPECT_EQ(tokenizer->decode(ids), "");
  for (const text::TokenId id : ids) {
    EXPECT_EQ(tokenizer->piece(id, true), "");
    EXPECT_FALSE(tokenizer->is_end(id));
  }
}

std::shared_ptr<const runtime::grammar::Vocabulary> vocabulary() {
  static const auto tokenizer = some_tokenizer();
  static const auto made = std::make_shared<const runtime::grammar::Vocabulary>(*tokenizer);
  return made;
}

std::string nested(const std::string& open, const std::string& core, const std::string& close, size_t depth) {
  std::string out;
  for (size_t i = 0; i < depth; ++i) out += open;
  out += core;
  for (size_t i = 0; i < depth; ++i) out += close;
  return out;
}

/// llama.cpp#26600: a grammar that calls itself without reading anything.
TEST(Advisories, LlamaCpp26600_RecursionInGrammars) {
  using runtime::Grammar;
  for (const char* schema :
       {R"({"$ref":"#"})",
        R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})",
        R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}]})", R"({"allOf":[{"$ref":"#"},{"type":"string"}]})",
        R"({"not":{"not":{"$ref":"#"}}})"}) {
    const auto made = Grammar::json_schema(schema, vocabulary());
    if (!made) {
      EXPECT_FALSE(made.error().message.empty()) << schema;
    }
  }
}

/// llama.cpp#25283: schemas nested as deep as a body is long.
TEST(Advisories, LlamaCpp25283_RecursionInSchemas) {
  using runtime::Grammar;
  constexpr size_t kDeep = 100'000;
  for (const std::string& schema :
       {nested(R"({"items":)", "{}", "}", kDeep), nested(R"({"properties":{"a":)", "{}", "}}", kDeep),
        nested(R"({"anyOf":[)", "{}", "]}", kDeep), nested(R"({"not":)", "{}", "}", kDeep),
        nested("[", "", "]", kDeep), std::string(kDeep, '{')}) {
    const auto made = Grammar::json_schema(schema, vocabulary());
    ASSERT_FALSE(made);
    EXPECT_FALSE(made.error().message.empty());
  }
  const auto request =
      server::read_chat_request(R"({"model":"m","messages":[{"role":"user","content":"q"}],"metadata":)" +
                                    nested("[", "", "]", kDeep) + "}",
                                {});
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().status, 400);
}

/// llama.cpp#25308: patterns nested likewise, and repetitions of repetitions.
TEST(Advisories, LlamaCpp25308_RecursionInPatterns) {
  using runtime::Grammar;
  for (const std::string& pattern :
       {nested("(", "a", ")", 100'000), nested("(?:", "a", ")*", 100'000), nested("(a|", "b", ")", 100'000),
        nested("(", "a", "){1000}", 6), std::string("a{4294967296}"), std::string(100'000, '(')}) {
    const auto made = Grammar::pattern(pattern, vocabulary());
    ASSERT_FALSE(made) << pattern.substr(0, 20);
    EXPECT_FALSE(made.error().message.empty());
  }
  for (const std::string& source : {nested("{{ (", "1", ") }}", 1), nested("(", "1", ")", 100'000)}) {
    const auto program = text::jinja::parse("{{ " + source + " }}");
    if (!program) {
      EXPECT_FALSE(program.error().message.empty());
    }
  }
}

/// llama.cpp#26511: std::stoi on what a vocabulary says is the byte of a token.
TEST(Advisories, LlamaCpp26511_NumbersInVocabularyEntries) {
  for (const char* entry : {"<0x>", "<0xGG>", "<0x-1>", "<0x99999999999999999999>", "<0x4", ""}) {
    formats::GgufWriter file;
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("tokenizer.ggml.tokens", GgufArray(std::vector<std::string>{"<unk>", "a", entry}));
    file.set("tokenizer.ggml.scores", GgufArray(std::vector<float>{0, -1, -2}));
    file.set("tokenizer.ggml.token_type", GgufArray(std::vector<int32_t>{2, 1, 6}));
    const auto path =
        std::filesystem::temp_directory_path() / fmt::format("bantam-advisory-{}.gguf", ::getpid());
    ASSERT_TRUE(file.write(path));
    const auto opened = GgufFile::open(path);
    std::filesystem::remove(path);
    ASSERT_TRUE(opened);
    const auto tokenizer = text::load_tokenizer(*opened);  // either is fine, an exception is not
    if (tokenizer) {
      EXPECT_TRUE((*tokenizer)->encode("a"));
    }
    if (!tokenizer) {
      EXPECT_FALSE(tokenizer.error().message.empty());
    }
  }
}

/// CVE-2026-22807: a directory's configuration named code of its own, which the importer ran.
TEST(Advisories, CVE_2026_22807_CodeFromAModelsDirectory) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("bantam-advisory-{}", ::getpid());
  std::filesystem::create_directories(folder);
  const auto ran = folder / "ran";
  ASSERT_TRUE(write_file(folder / "modeling_x.py", "open('" + ran.string() + "', 'w')"));
  ASSERT_TRUE(
      write_file(folder / "config.json",
                 R"({"model_type":"x","architectures":["X"],"auto_map":{"AutoModel":"modeling_x.X"}})"));
  // Weights are there, so that nothing but the configuration can be what is refused.
  const float one = 1;
  ASSERT_TRUE(formats::write_safetensors(folder / "model.safetensors",
                                         {{"x.weight", "F32", {1}, std::as_bytes(std::span(&one, 1))}}));
  const auto imported = model::import_hf(folder, folder / "out.gguf");
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message, HasSubstr("config.json"));
  EXPECT_FALSE(std::filesystem::exists(ran));
  EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bantam
