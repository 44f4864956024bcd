// Multiply-adds per second of the kernels, by type and shape, on one thread. Weights of decode cases exceed
// the caches of one core, as a model's do; what one of them reaches is then the memory's speed (counter
// bytes_per_second).

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/matmul.h"

namespace bantam::kernels {
namespace {

using tensor::DType;

std::vector<float> random_floats(size_t n) {
  Rng rng(n);
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(rng.normal());
  return out;
}

const Table* table_of(benchmark::State& state) {
  const auto table = choose_table();
  if (!table) state.SkipWithError(table.error().message.c_str());
  return table ? *table : nullptr;
}

/// Arguments: type, rows N, columns K, tokens T.
void matmul_bench(benchmark::State& state) {
  const Table* table = table_of(state);
  if (table == nullptr) return;
  const auto type = static_cast<DType>(state.range(0));
  const size_t rows = state.range(1), columns = state.range(2), tokens = state.range(3);
  std::vector<std::byte> bytes(rows * tensor::row_bytes(type, columns));
  tensor::MatrixView w{type, rows, columns, bytes.data()};
  const auto values = random_floats(columns), x = random_floats(tokens * columns);
  for (size_t i = 0; i < rows; ++i)
    quantize_row(type, values.data(), columns, bytes.data() + i * w.row_bytes());
  ThreadPool pool(1);
  auto panels = tensor::Storage::allocate_large(panels_size(*table, w));
  if (panels && panels->bytes() > 0) {
    copy_as_panels(*table, pool, w, panels->data(), [](std::span<const std::byte>) {});
    w.panels = panels->data();
  }
  auto activations = Activations::create(tokens, columns);
  std::vector<float> y(tokens * rows);
  for (auto _ : state) {
    activations->set(x.data(), columns, tokens, columns);
    matmul(*table, pool, w, *activations, y.data(), rows);
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(std::string(formats::ggml_type_traits(type)->name));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * w.bytes()));
  state.counters["FLOP"] = benchmark::Counter(2.0 * static_cast<double>(rows * columns * tokens),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

void matmul_cases(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"type", "N", "K", "T"});
  for (DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,
                     DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,
                     DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS, DType::kTQ1_0, DType::kTQ2_0}) {
    for (const auto& [rows, columns] :
         {std::pair{128, 128}, std::pair{384, 128}, std::pair{768, 256}, std::pair{2048, 2048}}) {
      if (columns % tensor::block_elements(type) != 0) continue;
      for (int tokens : {1, 8, 256}) bench->Args({static_cast<int64_t>(type), rows, columns, tokens});
    }
    bench->Args({static_cast<int64_t>(type), 32768, 1024, 1});
  }
}
BENCHMARK(matmul_bench)->Name("matmul")->Apply(matmul_cases);

const std::vector<int64_t> kCacheTypes{static_cast<int64_t>(tensor::DType::kF32), static_cast<int64_t>(tensor::DType::kF16),
                                       static_cast<int64_t>(tensor::DType::kQ8_0)};

/// Arguments: type, head_dim, keys, queries.
void attention_bench(benchmark::State& state) {
  const Table* table = table_of(state);
  if (table == nullptr) return;
  const auto type = static_cast<tensor::DType>(state.range(0));
  const size_t head_dim = state.range(1), keys = state.range(2), queries = state.range(3);
  const auto values = random_floats(keys * head_dim), q = random_floats(queries * head_dim);
  const size_t row_bytes = tensor::row_bytes(type, head_dim);
  std::vector<std::byte> rows(keys * row_bytes);
  for (size_t j = 0; j < keys; ++j)
    quantize_row(type, values.data() + j * head_dim, head_dim, rows.data() + j * row_bytes);
  std::vector<const std::byte*> pages;
  for (size_t j = 0; j < keys; j += kKeyTile) pages.push_back(rows.data() + j * row_bytes);
  std::vector<uint32_t> positions(queries);
  for (size_t t = 0; t < queries; ++t) positions[t] = static_cast<uint32_t>(keys - queries + t);
  std::vector<float> out(queries * head_dim);
  const Attention attention{.q = q.data(),
                            .q_stride = head_dim,
                            .positions = positions.data(),
                            .queries = queries,
                            .pages = pages.data(),
                            .keys = 0,
                            .values = 0,
                            .kv_stride = head_dim,
                            .head_dim = head_dim,
                            .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                            .out = out.data(),
                            .out_stride = head_dim};
  for (auto _ : state) {
    attend(*table, type, attention);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  double pairs = 0;
  for (uint32_t position : positions) pairs += position + 1;
  state.counters["FLOP"] = benchmark::Counter(4.0 * pairs * static_cast<double>(head_dim),
                                              benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(attention_bench)
    ->Name("attention")
    ->ArgNames({"type", "head_dim", "keys", "queries"})
    ->ArgsProduct({kCacheTypes, {32, 64}, {16}, {16}})
    ->ArgsProduct({kCacheTypes, {32, 64}, {1024}, {1, 256}});

/// Argument: n.
template <auto Member>
void rows_bench(benchmark::State& state) {
  const Table* table = table_of(state);
  if (table == nullptr) return;
  const size_t n = state.range(0);
  auto x = random_floats(n), y = random_floats(n);
  for (auto _ : state) {
    if constexpr (Member == 0) table->swiglu(x.data(), y.data(), n);
    if constexpr (Member == 1) table->softmax(x.data(), n);
    if constexpr (Member == 2) table->rms_norm(x.data(), y.data(), 1e-5F, n, x.data());
    benchmark::DoNotOptimize(x.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * n));
}
BENCHMARK(rows_bench<0>)->Name("swiglu")->Arg(384)->Arg(4096);
BENCHMARK(rows_bench<1>)->Name("softmax")->Arg(384)->Arg(4096);
BENCHMARK(rows_bench<2>)->Name("rms_norm")->Arg(128)->Arg(4096);

}  // namespace
}  // namespace bantam::kernels
