#pragma once
// What the forward passes share. Not for other layers.

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "model/config.h"
#include "model/transformer.h"

namespace bantam::model {

inline constexpr size_t kVector = 8;
/// Multiply-adds, or elements of a cheap elementwise step times 8, that are worth waking another thread for.
inline constexpr size_t kGrainWork = size_t{1} << 20;

inline size_t stride_of(const Config& config) { return (config.head_dim + kVector - 1) / kVector * kVector; }
inline size_t query_width(const Config& config) { return size_t{config.heads} * config.head_dim; }
inline size_t kv_width(const Config& config) { return size_t{config.kv_heads} * config.head_dim; }

/// Bytes from the start of keys or values to one head's first position.
inline size_t head_offset(const Config& config, const KvCache& cache, uint32_t layer, size_t head) {
  const size_t position_bytes = stride_of(config) * tensor::block_bytes(cache.type);
  return (size_t{layer} * config.kv_heads + head) * cache.capacity * position_bytes;
}

/// One head's channels as the cache holds them.
inline void store_head(const kernels::Table& table, const Config& config, tensor::DType type, std::byte* to,
                       const float* from) {
  if (type == tensor::DType::kF32) {
    std::memcpy(to, from, config.head_dim * sizeof(float));
  } else {
    table.f32_to_f16(from, reinterpret_cast<uint16_t*>(to), config.head_dim);
  }
}

/// Calls fn(t) for t < n on as many threads as the work, given for one t, deserves.
template <class F>
void for_each(ThreadPool& pool, size_t n, size_t work, const F& fn) {
  const auto run = [&fn](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) fn(t);
  };
  pool.parallel_for(n, std::max<size_t>(1, kGrainWork / std::max<size_t>(1, work)), std::cref(run));
}

}  // namespace bantam::model
