// Sessions to files and back.

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "model/adapter_for_test.h"
#include "runtime/random_engine_for_test.h"
#include "runtime/state_file.h"

namespace bantam::runtime {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

model::Config two_layers() {
  model::Config out = model::tiny_config();
  out.layers = 2;
  out.kv_heads = 1;
  return out;
}

/// A file name that is free again when the test ends.
struct Scratch {
  ~Scratch() { std::filesystem::remove(path); }
  const std::string path = model::adapter_scratch("state");
};

std::vector<TokenId> tokens_to(size_t n) {
  std::vector<TokenId> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<TokenId>((i * 31 + 3) % 280);
  return out;
}

TEST(State, ContinuesAsBefore) {
  for (const auto type : {tensor::DType::kF16, tensor::DType::kF32, tensor::DType::kQ8_0}) {
    const auto engine = random_engine({.config = two_layers(), .options = {.threads = 1, .kv_cache = type}});
    auto first = *engine->new_session();
    const auto prompt = tokens_to(70);
    GenerateOptions options{.max_tokens = 20, .ignore_end = true, .top_logprobs = 2};
    ASSERT_TRUE(first->generate(prompt, options));
    Scratch file;
    ASSERT_TRUE(first->save(file.path));
    std::vector<TokenId> longer(first->tokens().begin(), first->tokens().end());
    longer.push_back(11);
    const auto expected = first->generate(longer, options);
    auto second = *engine->new_session();
    const Status restored = second->restore(file.path);
    ASSERT_TRUE(restored) << restored.error().message;
    const auto found = second->generate(longer, options);
    ASSERT_TRUE(expected && found);
    EXPECT_EQ(found->cached_tokens, longer.size() - 1);
    EXPECT_EQ(found->tokens, expected->tokens);
    for (size_t i = 0; i < found->logprobs.size(); ++i)
      EXPECT_EQ(found->logprobs[i].logprob, expected->logprobs[i].logprob) << "every bit";
  }
}

TEST(State, DoesNotFitWhereSomethingDiffers) {
  const RandomEngine wanted{.config = two_layers()};
  const auto engine = random_engine(wanted);
  auto session = *engine->new_session();
  Scratch file;
  EXPECT_THAT(session->save(file.path).error().message, HasSubstr("without tokens"));
  EXPECT_FALSE(std::filesystem::exists(file.path));
  ASSERT_TRUE(session->generate(tokens_to(100), {.max_tokens = 5}));
  ASSERT_TRUE(session->save(file.path));
  const auto error_of = [&](const RandomEngine& other) {
    auto into = *random_engine(other)->new_session();
    const auto before = into->generate(tokens_to(5), {.max_tokens = 1});
    const size_t held = into->tokens().size();
    const Status restored = into->restore(file.path);
    EXPECT_FALSE(restored);
    EXPECT_EQ(into->tokens().size(), held) << "the session stays as it was";
    return restored ? Error{} : restored.error();
  };
  RandomEngine other = wanted;
  other.seed = 2;
  EXPECT_THAT(error_of(other).message, HasSubstr("the state of another model"));
  other = wanted;
  other.options.kv_cache = tensor::DType::kF32;
  EXPECT_THAT(error_of(other).message, HasSubstr("a KV cache of type F16, expected F32"));
  other = wanted;
  other.options.context_length = 64;
  EXPECT_EQ(error_of(other).code, Code::kLimit);
  EXPECT_EQ(session->restore("no/such/state").error().code, Code::kNotFound);
  EXPECT_EQ(session->save("no/such/folder/state").error().code, Code::kNotFound);
}

TEST(State, BelongsToItsAdapters) {
  const std::string base = model::adapter_scratch("base"), path = model::adapter_scratch("adapter");
  ASSERT_TRUE(model::write_random_model(base, model::tiny_config(), tensor::DType::kF32, 1));
  model::AdapterDraft draft;
  draft.all(*formats::GgufFile::open(base), 2);
  ASSERT_TRUE(draft.file.write(path));
  const auto plain = *Engine::load(base, {.threads = 1});
  const auto adapted = *Engine::load(base, {.threads = 1, .adapters = {{path, 1}}});
  std::filesystem::remove(base);
  std::filesystem::remove(path);
  Scratch file;
  auto session = *adapted->new_session();
  ASSERT_TRUE(session->generate(tokens_to(30), {.max_tokens = 2}));
  ASSERT_TRUE(session->save(file.path));
  EXPECT_TRUE(session->restore(file.path));
  EXPECT_THAT((*plain->new_session())->restore(file.path).error().message, HasSubstr("other adapters"));
  ASSERT_TRUE(session->set_adapters(std::vector<float>{0.5F}));
  EXPECT_FALSE(session->restore(file.path));
  // At scale 0 an adapter takes no part.
  ASSERT_TRUE(session->set_adapters(std::vector<float>{0}));
  ASSERT_TRUE(session->generate(tokens_to(30), {.max_tokens = 2}));
  ASSERT_TRUE(session->save(file.path));
  EXPECT_TRUE((*plain->new_session())->restore(file.path));
}

TEST(State, DamageIsSeen) {
  const auto engine = random_engine({.config = two_layers()});
  auto session = *engine->new_session();
  Scratch file;
  ASSERT_TRUE(session->generate(tokens_to(9), {.max_tokens = 3}));
  ASSERT_TRUE(session->save(file.path));
  const std::string good = *read_file(file.path);
  const auto parse = [](const std::string& bytes) {
    return parse_state(std::as_bytes(std::span(bytes)), "x.state");
  };
  ASSERT_TRUE(parse(good));
  for (size_t i = 0; i < good.size(); i += i < 200 ? 1 : 13) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    const auto parsed = parse(bad);
    ASSERT_FALSE(parsed) << "byte " << i;
    EXPECT_THAT(parsed.error().message, StartsWith("x.state: "));
  }
  for (size_t length = 0; length < good.size(); length += 1 + length / 8) {
    const auto parsed = parse(good.substr(0, length));
    ASSERT_FALSE(parsed) << length << " bytes";
    EXPECT_EQ(parsed.error().code, Code::kCorrupt);
  }
  EXPECT_FALSE(parse(good + "x"));
  std::string newer = good;
  newer[8] = 2;
  EXPECT_EQ(parse(newer).error().code, Code::kUnsupported);
  std::ofstream(file.path, std::ios::binary) << good.substr(0, good.size() / 2);
  EXPECT_THAT(session->restore(file.path).error().message, HasSubstr("cut off"));
}

/// Sizes that only fit together where a product wraps around: never an allocation.
TEST(State, CountsThatLie) {
  StateKey key{.model = std::string(64, 'a'),
               .adapters = std::string(64, 'b'),
               .type = 1,
               .layers = 1,
               .heads = 1,
               .row_bytes = 2};
  const std::vector<TokenId> tokens{1};
  for (uint32_t StateKey::*field : {&StateKey::layers, &StateKey::heads, &StateKey::row_bytes}) {
    for (const uint32_t value : {0U, 1U << 24, 1U << 31, 0xffff'ffffU}) {
      StateKey lying = key;
      lying.*field = value;
      const std::string header = state_header(lying, tokens);
      EXPECT_FALSE(parse_state(std::as_bytes(std::span(header)), "x")) << value;
    }
  }
}

TEST(Checksum, DoesNotDependOnThePieces) {
  std::string text(1000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  const auto bytes = std::as_bytes(std::span(text));
  Checksum whole;
  whole.add(bytes);
  for (const size_t piece : {1U, 3U, 8U, 64U, 999U}) {
    Checksum parts;
    for (size_t at = 0; at < bytes.size(); at += piece)
      parts.add(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    EXPECT_EQ(parts.value(), whole.value()) << piece;
  }
  Checksum shorter;
  shorter.add(bytes.first(999));
  EXPECT_NE(shorter.value(), whole.value());
}

}  // namespace
}  // namespace bantam::runtime
