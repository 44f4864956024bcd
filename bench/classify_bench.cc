// CPU time of one classification: random weights, 77 labels, prompts of 16 tokens that differ from call to
// call, one thread.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "base/rng.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace bantam::runtime {
namespace {

struct Shape {
  uint32_t layers, dim, ffn, heads;
  tensor::DType type;
};

constexpr uint32_t kVocabulary = 4096;
constexpr size_t kLabels = 77, kPromptTokens = 16;

Result<std::shared_ptr<const Engine>> load(const Shape& shape) {
  model::Config config;
  config.vocab_size = kVocabulary;
  config.context_length = 256;
  config.dim = shape.dim;
  config.layers = shape.layers;
  config.heads = config.kv_heads = shape.heads;
  config.head_dim = shape.dim / shape.heads;
  config.ffn_dim = shape.ffn;
  config.tied_head = true;
  std::vector<std::string> labels;
  for (size_t i = 0; i < kLabels; ++i) labels.push_back(fmt::format("label {}", i));
  const auto path =
      fmt::format("{}/bantam-bench-{}.gguf", std::filesystem::temp_directory_path().string(), ::getpid());
  BANTAM_TRY(model::write_random_model(path, config, shape.type, 1, labels));
  auto engine = Engine::load(path, {.threads = 1});
  std::filesystem::remove(path);  // stays mapped
  return engine;
}

void classify_bench(benchmark::State& state, const Shape& shape) {
  const auto engine = load(shape);
  if (!engine) return state.SkipWithError(engine.error().message.c_str());
  auto session = (*engine)->new_session();
  if (!session) return state.SkipWithError(session.error().message.c_str());
  Rng rng(1);
  std::vector<std::vector<TokenId>> prompts(64, std::vector<TokenId>(kPromptTokens));
  for (auto& prompt : prompts) {
    for (auto& token : prompt) token = static_cast<TokenId>(2 + rng.below(256));
  }
  size_t next = 0;
  for (auto _ : state) {
    (*session)->reset();
    const auto choice = (*session)->choose(prompts[next++ % prompts.size()], (*engine)->task_choices());
    if (!choice) return state.SkipWithError(choice.error().message.c_str());
    benchmark::DoNotOptimize(choice->best);
  }
}

using tensor::DType;
BENCHMARK_CAPTURE(classify_bench, 2x128_Q8_0, Shape{2, 128, 384, 4, DType::kQ8_0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(classify_bench, 2x128_Q4_0, Shape{2, 128, 384, 4, DType::kQ4_0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(classify_bench, 2x128_F32, Shape{2, 128, 384, 4, DType::kF32})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(classify_bench, 6x256_F32, Shape{6, 256, 768, 8, DType::kF32})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(classify_bench, 6x256_Q8_0, Shape{6, 256, 768, 8, DType::kQ8_0})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bantam::runtime
