#include "kernels/roofline.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "base/usage.h"
#include "tensor/storage.h"

namespace bantam::kernels {
namespace {

constexpr int kTries = 4, kShortTries = 16;

/// Calls run() kTries times; returns `amount` by the shortest of the times.
template <class Run>
double best_rate(double amount, const Run& run) {
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const double start = wall_seconds();
    run();
    best = std::max(best, amount / std::max(1e-9, wall_seconds() - start));
  }
  return best;
}

double bandwidth(ThreadPool& pool, uint64_t most_bytes) {
  constexpr size_t kPart = size_t{1} << 20;
  tensor::Storage memory;
  for (size_t bytes = size_t{1} << 30; bytes >= size_t{1} << 26 && memory.bytes() == 0; bytes /= 2) {
    if (bytes > most_bytes) continue;
    if (auto got = tensor::Storage::allocate_large(bytes)) memory = std::move(*got);
  }
  const size_t parts = memory.bytes() / kPart;
  if (parts == 0) return 0;
  const auto touch = [&](size_t begin, size_t end) {
    std::memset(memory.data() + begin * kPart, 1, (end - begin) * kPart);
  };
  pool.parallel_for(parts, 1, std::cref(touch));
  std::atomic<uint64_t> sink{0};  // or nothing need be read
  const auto read = [&](size_t begin, size_t end) {
    const auto words = memory.as<const uint64_t>().subspan(begin * kPart / 8, (end - begin) * kPart / 8);
    uint64_t sum[8] = {};
    constexpr size_t kAhead = 512;  // words: further than the machine looks ahead by itself
    for (size_t i = 0; i < words.size(); i += 8) {
      __builtin_prefetch(words.data() + i + kAhead);
      for (size_t k = 0; k < 8; ++k) sum[k] += words[i + k];
    }
    for (uint64_t one : sum) sink += one;
  };
  return best_rate(static_cast<double>(parts * kPart), [&] { pool.parallel_for(parts, 1, std::cref(read)); });
}

double int8_rate(const Table& table, ThreadPool& pool) {
  if (table.int8_work == nullptr) return 0;
  constexpr uint64_t kRounds = 20'000;
  const size_t parts = size_t{pool.size()} * 64;
  std::atomic<uint64_t> done{0};
  const auto work = [&](size_t begin, size_t end) { done += table.int8_work((end - begin) * kRounds); };
  double best = 0;
  for (int i = 0; i < kShortTries; ++i) {
    done = 0;
    const double start = wall_seconds();
    pool.parallel_for(parts, 1, std::cref(work));
    best = std::max(best, static_cast<double>(done) / std::max(1e-9, wall_seconds() - start));
  }
  return best;
}

}  // namespace

Roofline measure_roofline(const Table& table, ThreadPool& pool, uint64_t most_bytes) {
  return {.bytes_per_second = bandwidth(pool, most_bytes), .multiply_adds_per_second = int8_rate(table, pool)};
}

}  // namespace bantam::kernels
