// Encoders through Engine, Session and Scheduler. That their vectors are the right ones is what
// tests/llamacpp shows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <future>

#include "base/rng.h"
#include "runtime/engine.h"
#include "runtime/scheduler.h"

namespace bantam::runtime {
namespace {

using formats::GgmlType;
using formats::GgufWriter;
using testing::HasSubstr;

constexpr uint32_t kDim = 32, kFfn = 48, kContext = 40, kLayers = 2;

void add(GgufWriter& file, Rng& rng, const std::string& name, std::vector<uint64_t> shape, float mean = 0) {
  uint64_t size = 1;
  for (uint64_t side : shape) size *= side;
  std::vector<float> values(size);
  for (float& x : values) x = mean + 0.2F * static_cast<float>(rng.normal());
  EXPECT_TRUE(file.add_tensor(name, GgmlType::kF32, std::move(shape), std::as_bytes(std::span(values))));
}

void add_norm(GgufWriter& file, Rng& rng, const std::string& name) {
  add(file, rng, name + ".weight", {kDim}, 1);
  add(file, rng, name + ".bias", {kDim});
}

/// A BERT of two layers with a vocabulary of letters; `more` may change what is written.
std::string write_encoder(const std::function<void(GgufWriter&)>& more = {}) {
  GgufWriter file;
  file.set("general.architecture", std::string("bert"));
  const std::pair<const char*, uint32_t> numbers[] = {
      {"context_length", kContext},  {"embedding_length", kDim},  {"block_count", kLayers},
      {"feed_forward_length", kFfn}, {"attention.head_count", 4}, {"pooling_type", 1}};
  for (const auto& [key, value] : numbers) file.set(fmt::format("bert.{}", key), value);
  file.set("bert.attention.layer_norm_epsilon", 1e-12F);
  std::vector<std::string> tokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string("\xe2\x96\x81") + c);
  file.set("tokenizer.ggml.model", std::string("bert"));
  file.set("tokenizer.ggml.token_type", formats::GgufArray(std::vector<int32_t>(tokens.size(), 1)));
  const uint64_t vocabulary = tokens.size();
  file.set("tokenizer.ggml.tokens", formats::GgufArray(std::move(tokens)));
  file.set("tokenizer.ggml.bos_token_id", uint32_t{2});
  file.set("tokenizer.ggml.eos_token_id", uint32_t{3});
  file.set("tokenizer.ggml.unknown_token_id", uint32_t{1});
  Rng rng(1);
  add(file, rng, "token_embd.weight", {kDim, vocabulary});
  add(file, rng, "token_types.weight", {kDim, 2});
  add(file, rng, "position_embd.weight", {kDim, kContext});
  add_norm(file, rng, "token_embd_norm");
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    const std::string at = fmt::format("blk.{}.", layer);
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
      add(file, rng, at + part + ".weight", {kDim, kDim});
      add(file, rng, at + part + ".bias", {kDim});
    }
    add_norm(file, rng, at + "attn_output_norm");
    add(file, rng, at + "ffn_up.weight", {kDim, kFfn});
    add(file, rng, at + "ffn_up.bias", {kFfn});
    add(file, rng, at + "ffn_down.weight", {kFfn, kDim});
    add(file, rng, at + "ffn_down.bias", {kDim});
    add_norm(file, rng, at + "layer_output_norm");
  }
  if (more) more(file);
  const auto path =
      fmt::format("{}/bantam-encoder-{}.gguf", std::filesystem::temp_directory_path().string(), ::getpid());
  EXPECT_TRUE(file.write(path));
  return path;
}

std::vector<TokenId> text(size_t n) {
  std::vector<TokenId> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<TokenId>(4 + i * 7 % 26);
  return out;
}

std::vector<float> vector_of(const EngineOptions& options, const std::vector<TokenId>& tokens) {
  const auto engine = Engine::load(write_encoder(), options);
  EXPECT_TRUE(engine) << engine.error().message;
  if (!engine) return {};
  auto session = (*engine)->new_session();
  auto out = (*session)->embed(tokens);
  EXPECT_TRUE(out) << out.error().message;
  return out.value_or(std::vector<float>{});
}

TEST(Encoder, VectorDoesNotDependOnBatchOrThreads) {
  for (size_t n : {1, 2, 8, 9, 31, 40}) {
    const auto whole = vector_of({.threads = 1, .kv_cache = tensor::DType::kF32}, text(n));
    ASSERT_EQ(whole.size(), kDim);
    EXPECT_EQ(vector_of({.threads = 3, .batch = 8, .kv_cache = tensor::DType::kF32}, text(n)), whole) << n;
  }
}

TEST(Encoder, EveryTokenSeesTheOthers) {
  auto tokens = text(12);
  const auto before = vector_of({.threads = 1}, tokens);
  std::swap(tokens[10], tokens[3]);
  EXPECT_NE(vector_of({.threads = 1}, tokens), before);
}

TEST(Encoder, MakesVectorsOnly) {
  const auto engine = Engine::load(write_encoder(), {.threads = 1});
  ASSERT_TRUE(engine) << engine.error().message;
  auto session = (*engine)->new_session();
  const auto said = (*session)->generate(text(3), {});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, Code::kUnsupported);
  EXPECT_THAT(said.error().message, HasSubstr("encoder"));
  const std::vector<std::vector<TokenId>> choices{{4}, {5}};
  EXPECT_EQ((*session)->choose(text(3), choices).error().code, Code::kUnsupported);
  EXPECT_EQ((*session)->logits(text(3), [](size_t, std::span<const float>) {}).error().code,
            Code::kUnsupported);
  EXPECT_EQ((*session)->embed(text(kContext + 1)).error().code, Code::kLimit);
  EXPECT_TRUE((*session)->embed(text(3)));  // still works
}

TEST(Encoder, WrongTensorsAreNamed) {
  const auto extra = write_encoder([](GgufWriter& file) {
    Rng rng(2);
    add(file, rng, "cls.weight", {kDim, 2});
  });
  const auto found = Engine::load(extra, {.threads = 1});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kUnsupported);
  EXPECT_THAT(found.error().message, HasSubstr("cls.weight"));
  const auto shorter =
      write_encoder([](GgufWriter& file) { file.set("bert.context_length", uint32_t{kContext + 1}); });
  EXPECT_THAT(Engine::load(shorter, {.threads = 1}).error().message, HasSubstr("position_embd.weight"));
}

TEST(Encoder, WorksBehindTheScheduler) {
  const auto engine = Engine::load(write_encoder(), {.threads = 1});
  ASSERT_TRUE(engine);
  Scheduler scheduler(*engine, {});
  const auto tokens = text(9);
  auto promise = std::make_shared<std::promise<std::vector<float>>>();
  auto vector = promise->get_future();
  const std::vector<TokenId> first(tokens.begin(), tokens.begin() + 1);
  auto ticket = scheduler.run(first, tokens.size(), [promise, tokens](Result<Session*> session) {
    promise->set_value(session ? (*session)->embed(tokens).value_or(std::vector<float>{})
                               : std::vector<float>{});
  });
  ASSERT_TRUE(ticket);
  EXPECT_EQ(vector.get(), vector_of({.threads = 1}, tokens));
}

}  // namespace
}  // namespace bantam::runtime
