#pragma once
// What the forward passes share. Not for other layers.

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "model/config.h"
#include "model/transformer.h"
#include "tensor/blocks.h"

namespace bantam::model {

inline constexpr size_t kVector = 8;
/// Multiply-adds, or elements of a cheap elementwise step times 8, that are worth waking another thread for.
inline constexpr size_t kGrainWork = size_t{1} << 20;

/// Channels of a head in a cache.
inline size_t stride_of(const Config& config, tensor::DType type) {
  const size_t unit = std::max(kVector, tensor::block_elements(type));
  return (config.head_dim + unit - 1) / unit * unit;
}
/// Bytes of a head at one position.
inline size_t position_bytes(const Config& config, tensor::DType type) {
  return tensor::row_bytes(type, stride_of(config, type));
}
inline size_t query_width(const Config& config) { return size_t{config.heads} * config.head_dim; }
inline size_t kv_width(const Config& config) { return size_t{config.kv_heads} * config.head_dim; }

/// Bytes from a page's start to one head's first key.
inline size_t head_offset(const Config& config, tensor::DType type, uint32_t layer, size_t head) {
  return (size_t{layer} * config.kv_heads + head) * kPageTokens * position_bytes(config, type);
}
/// And from a key to the value.
inline size_t values_offset(const Config& config, tensor::DType type) { return KvCache::page_bytes(config, type) / 2; }

/// One head's channels as a cache holds them. Rounded to eight bits they are as activations are (Table::pack_blocks).
inline void store_channels(const kernels::Table& table, const Config& config, tensor::DType type, std::byte* to, const float* from) {
  if (type == tensor::DType::kF32) {
    std::memcpy(to, from, config.head_dim * sizeof(float));
    return;
  }
  if (type != tensor::DType::kQ8_0) return table.f32_to_f16(from, reinterpret_cast<uint16_t*>(to), config.head_dim);
  for (size_t c = 0; c < config.head_dim; c += tensor::kBlock, to += sizeof(tensor::BlockQ8_0)) {
    float channels[tensor::kBlock] = {};
    std::copy_n(from + c, std::min(tensor::kBlock, config.head_dim - c), channels);
    kernels::ActivationBlock rounded;
    table.pack_blocks(channels, 1, &rounded);
    tensor::BlockQ8_0 block;
    table.f32_to_f16(&rounded.scale, &block.scale, 1);  // which it is already
    std::memcpy(block.q, rounded.q, sizeof block.q);
    std::memcpy(to, &block, sizeof block);
  }
}

/// One head's key and value of one position.
inline void store_head(const kernels::Table& table, const Config& config, const KvCache& cache, uint32_t layer, size_t head,
                       size_t position, const float* key, const float* value) {
  std::byte* at = cache.pages[position / kPageTokens] + head_offset(config, cache.type, layer, head) +
                  position % kPageTokens * position_bytes(config, cache.type);
  store_channels(table, config, cache.type, at, key);
  store_channels(table, config, cache.type, at + values_offset(config, cache.type), value);
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
