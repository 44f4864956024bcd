// Adapters at work: against merged weights, in batches, and when their scales change.

#include <gmock/gmock.h>

#include <filesystem>
#include <future>
#include <limits>

#include "kernels/convert.h"
#include "model/adapter_for_test.h"
#include "runtime/engine.h"
#include "runtime/scheduler.h"

namespace bantam::runtime {
namespace {

using formats::GgufFile;
using testing::HasSubstr;

/// A model of two layers with a tied head, adapters for all its matrices, and the same model with them
/// merged.
struct Files {
  Files() {
    model::Config config = model::tiny_config();
    config.layers = 2;
    config.kv_heads = 1;
    EXPECT_TRUE(model::write_random_model(base, config, tensor::DType::kF32, 1));
    auto opened = GgufFile::open(base);
    for (uint64_t i = 0; i < 2; ++i) {
      model::AdapterDraft draft(i + 5);
      draft.all(*opened, i + 2);
      EXPECT_TRUE(draft.file.write(adapters[i]));
    }
  }
  ~Files() {
    for (const auto& path : {base, adapters[0], adapters[1], merged}) std::filesystem::remove(path);
  }
  void merge(std::span<const float> scales) {
    auto file = GgufFile::open(base);
    formats::GgufWriter out;
    out.copy_metadata(*file);
    for (const auto& tensor : file->tensors()) {
      std::vector<float> values(tensor.elements());
      std::memcpy(values.data(), file->data(tensor).data(), values.size() * sizeof(float));
      for (size_t i = 0; i < scales.size(); ++i) {
        auto adapter = model::AdapterFile::open(adapters[i], *file);
        ASSERT_TRUE(adapter) << adapter.error().message;
        for (const auto& part : adapter->parts()) {
          for (size_t row = 0; part.tensor == tensor.name && row < tensor.shape[1]; ++row)
            model::add_low_rank_row(part, scales[i], row,
                                    std::span(values).subspan(row * tensor.shape[0], tensor.shape[0]));
        }
      }
      EXPECT_TRUE(out.add_tensor(tensor.name, tensor.type, tensor.shape, std::as_bytes(std::span(values))));
    }
    EXPECT_TRUE(out.write(merged));
  }
  std::shared_ptr<const Engine> load(const std::string& path, std::vector<AdapterOption> options = {}) const {
    auto engine = Engine::load(
        path, {.threads = 1, .batch = 16, .kv_cache = tensor::DType::kF32, .adapters = std::move(options)});
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? *engine : nullptr;
  }

  const std::string base = model::adapter_scratch("base"), merged = model::adapter_scratch("merged");
  const std::string adapters[2] = {model::adapter_scratch("one"), model::adapter_scratch("two")};
};

std::vector<TokenId> some_tokens(size_t n, int step) {
  std::vector<TokenId> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<TokenId>((i * static_cast<size_t>(step) + 3) % 280);
  return out;
}

std::vector<float> all_logits(const Engine& engine, std::span<const TokenId> tokens,
                              std::span<const float> scales = {}) {
  auto session = engine.new_session();
  EXPECT_TRUE(session);
  if (!scales.empty()) {
    EXPECT_TRUE((*session)->set_adapters(scales));
  }
  std::vector<float> out;
  EXPECT_TRUE((*session)->logits(
      tokens, [&](size_t, std::span<const float> row) { out.insert(out.end(), row.begin(), row.end()); }));
  return out;
}

double widest(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double out = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    out = std::max(out, std::abs(double{a[i]} - b[i]));
  return out;
}

TEST(Adapters, GiveWhatTheMergedWeightsGive) {
  Files files;
  const auto tokens = some_tokens(50, 37);
  const auto plain = all_logits(*files.load(files.base), tokens);
  for (const std::vector<float>& scales : {std::vector<float>{1}, {0.3F}, {1, -0.5F}}) {
    std::vector<AdapterOption> options;
    for (size_t i = 0; i < scales.size(); ++i) options.push_back({files.adapters[i], scales[i]});
    const auto beside = all_logits(*files.load(files.base, options), tokens);
    files.merge(scales);
    const auto merged = all_logits(*files.load(files.merged), tokens);
    EXPECT_LT(widest(beside, merged), 2e-4) << scales.size();
    EXPECT_GT(widest(beside, plain), 0.05) << "the adapters do nothing";
  }
  // A scale of zero: as if they were not there, in every bit.
  EXPECT_EQ(all_logits(*files.load(files.base, {{files.adapters[0], 0}}), tokens), plain);
}

TEST(Adapters, ScalesAreASessionsOwn) {
  Files files;
  const auto engine = files.load(files.base, {{files.adapters[0], 1}, {files.adapters[1], 0}});
  const auto tokens = some_tokens(20, 31);
  const std::vector<float> both{0.5F, 2}, none{0, 0}, one{1, 0};
  EXPECT_EQ(all_logits(*engine, tokens), all_logits(*engine, tokens, one))
      << "the options' scales are the default";
  EXPECT_EQ(all_logits(*engine, tokens, none), all_logits(*files.load(files.base), tokens));
  auto session = engine->new_session();
  GenerateOptions options{.max_tokens = 5, .ignore_end = true};
  ASSERT_TRUE((*session)->generate(tokens, options));
  EXPECT_EQ((*session)->generate(tokens, options)->cached_tokens, tokens.size() - 1);
  options.adapter_scales = both;
  auto changed = (*session)->generate(tokens, options);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->cached_tokens, 0u) << "keys and values of other adapters";
  auto fresh = engine->new_session();
  EXPECT_EQ((*fresh)->generate(tokens, options)->tokens, changed->tokens);
  // Errors
  EXPECT_THAT((*session)->set_adapters(std::vector<float>{1}).error().message, HasSubstr("each of the 2"));
  EXPECT_FALSE((*session)->set_adapters(std::vector<float>{1, std::numeric_limits<float>::infinity()}));
  options.adapter_scales = std::vector<float>{};
  EXPECT_EQ((*session)->generate(tokens, options).error().code, Code::kInvalidArgument);
}

TEST(Adapters, RequestsOfDifferentScalesRunTogether) {
  Files files;
  const auto engine = files.load(files.base, {{files.adapters[0], 1}, {files.adapters[1], 0.5F}});
  const std::vector<std::vector<float>> scales{{1, 0.5F}, {0, 0}, {0.2F, 3}, {0, 0}, {2, 0}};
  std::vector<std::vector<TokenId>> alone;
  GenerateOptions options{.max_tokens = 12, .ignore_end = true};
  for (size_t i = 0; i < scales.size(); ++i) {
    auto session = engine->new_session();
    options.adapter_scales = scales[i];
    alone.push_back((*session)->generate(some_tokens(20 + i, 31), options)->tokens);
  }
  EXPECT_NE(alone[0], alone[1]);
  Scheduler scheduler(engine, {.sequences = 3});
  for (int round = 0; round < 2; ++round) {  // the second one continues from caches
    std::vector<std::promise<Result<Generation>>> made(scales.size());
    for (size_t i = 0; i < scales.size(); ++i) {
      options.adapter_scales = scales[i];
      ASSERT_TRUE(scheduler.generate(some_tokens(20 + i, 31), options, [&made, i](Result<Generation> result) {
        made[i].set_value(std::move(result));
      }));
    }
    for (size_t i = 0; i < scales.size(); ++i) {
      auto result = made[i].get_future().get();
      ASSERT_TRUE(result) << result.error().message;
      EXPECT_EQ(result->tokens, alone[i]) << i;
    }
  }
}

TEST(Adapters, WhatIsRefusedTakesNoMemory) {
  Files files;
  Scheduler scheduler(files.load(files.base, {{files.adapters[0], 1}}), {.sequences = 1});
  const auto ask = [&](std::vector<float> scales) {
    GenerateOptions options{.max_tokens = 1000, .ignore_end = true};  // the whole context
    options.adapter_scales = std::move(scales);
    auto made = std::make_shared<std::promise<Result<Generation>>>();
    EXPECT_TRUE(scheduler.generate(some_tokens(20, 31), std::move(options),
                                   [made](Result<Generation> result) { made->set_value(std::move(result)); }));
    auto future = made->get_future();
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready)
      return Result<Generation>(fail(Code::kBusy, "no answer: the memory is taken"));
    return future.get();
  };
  for (int i = 0; i < 3; ++i) {
    auto refused = ask({1, 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument) << refused.error().message;
  }
  auto answer = ask({0.5F});
  EXPECT_TRUE(answer) << answer.error().message;
}

TEST(Adapters, OptionsAsText) {
  const auto parsed = [](const char* text) { return *parse_adapter(text); };
  EXPECT_EQ(parsed("a.gguf").path, "a.gguf");
  EXPECT_EQ(parsed("a.gguf").scale, 1);
  EXPECT_EQ(parsed("a.gguf:0.25").path, "a.gguf");
  EXPECT_EQ(parsed("a.gguf:-2").scale, -2);
  EXPECT_EQ(parsed("a:b.gguf").path, "a:b.gguf");
  EXPECT_EQ(parsed("a.gguf:").path, "a.gguf:");
  EXPECT_FALSE(parse_adapter(""));
  EXPECT_FALSE(parse_adapter(":2"));
}

}  // namespace
}  // namespace bantam::runtime
