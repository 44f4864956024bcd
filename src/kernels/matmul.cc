#include "kernels/matmul.h"

#include <algorithm>
#include <cassert>

namespace bantam::kernels {
namespace {

using tensor::DType;

/// Rows are dealt out in multiples of what a kernel takes at once.
constexpr size_t kRowUnit = 8;
/// Multiply-adds that are worth waking another thread for (about 20 microseconds).
constexpr size_t kGrainWork = size_t{1} << 20;
/// Weights that are met by all tokens before the next are read: within half of a small L2 cache.
constexpr size_t kCacheBytes = size_t{1} << 17;
/// Up to this many tokens left over from whole tiles are multiplied one by one.
constexpr size_t kMostSingles = 3;

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

size_t tile_rows_of(size_t tokens) {
  return tokens / kTileRows + (tokens % kTileRows > kMostSingles ? 1 : 0);
}
size_t single_rows_of(size_t tokens) { return tokens % kTileRows > kMostSingles ? 0 : tokens % kTileRows; }

void (*kernel_of(const Table& table, DType type))(const Product&) {
  switch (type) {
    case DType::kF32:
      return table.matmul_f32;
    case DType::kF16:
      return table.matmul_f16;
    case DType::kQ8_0:
      return table.matmul_q8_0;
    case DType::kQ4_0:
      return table.matmul_q4_0;
  }
  return nullptr;
}

}  // namespace

size_t Activations::bytes(size_t tokens, size_t columns) {
  const size_t blocks = columns / kBlock;
  return (tokens + kTileRows) / kTileRows * blocks * sizeof(ActivationTile) +
         kMostSingles * blocks * sizeof(ActivationBlock);
}

Result<Activations> Activations::create(size_t tokens, size_t columns) {
  Activations out;
  BANTAM_ASSIGN(out.storage_, tensor::Storage::allocate(bytes(tokens, columns)));
  return out;
}

void Activations::set(const float* x, size_t stride, size_t tokens, size_t columns) {
  x_ = x;
  stride_ = stride;
  tokens_ = tokens;
  columns_ = columns;
  packed_ = false;
}

/// The packed rows, made on first use: whole tiles at the start of the storage, then the single rows.
void Activations::pack(const Table& table, Product& product) {
  const size_t blocks = columns_ / kBlock;
  auto* tiles = reinterpret_cast<ActivationTile*>(storage_.data());
  auto* singles = reinterpret_cast<ActivationBlock*>(tiles + tile_rows_of(tokens_) * blocks);
  assert(bytes(tokens_, columns_) <= storage_.bytes());
  product.tiles = tiles;
  product.blocks = singles;
  product.tile_rows = tile_rows_of(tokens_);
  product.single_rows = single_rows_of(tokens_);
  if (packed_) return;
  const size_t tiled = tokens_ - product.single_rows;
  for (size_t t = 0; t < tiled; t += kTileRows) {
    table.pack_tiles(x_ + t * stride_, stride_, std::min(kTileRows, tiled - t), blocks,
                     tiles + t / kTileRows * blocks);
  }
  for (size_t t = tiled; t < tokens_; ++t)
    table.pack_blocks(x_ + t * stride_, blocks, singles + (t - tiled) * blocks);
  packed_ = true;
}

void matmul(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, Activations& x, float* y,
            size_t y_stride, std::span<const int32_t> rows) {
  assert(weights.columns == x.columns_ && x.columns_ % tensor::block_elements(weights.type) == 0);
  const size_t count = rows.empty() ? weights.rows : rows.size();
  if (count == 0 || x.tokens_ == 0) return;
  Product product{.weights = weights.data,
                  .row_bytes = weights.row_bytes(),
                  .rows = rows.empty() ? nullptr : rows.data(),
                  .begin = 0,
                  .end = 0,
                  .columns = x.columns_,
                  .x = x.x_,
                  .x_stride = x.stride_,
                  .tiles = nullptr,
                  .blocks = nullptr,
                  .tokens = x.tokens_,
                  .tile_rows = 0,
                  .single_rows = 0,
                  .y = y,
                  .y_stride = y_stride};
  if (tensor::block_elements(weights.type) > 1) x.pack(table, product);
  const auto kernel = kernel_of(table, weights.type);
  const size_t chunk =
      std::max(kRowUnit, kCacheBytes / std::max<size_t>(product.row_bytes, 1) / kRowUnit * kRowUnit);
  const auto run = [&](size_t begin, size_t end) {
    Product part = product;
    for (size_t i = begin; i < end; i += chunk) {
      part.begin = i;
      part.end = std::min(end, i + chunk);
      part.y = y + i;
      kernel(part);
    }
  };
  const size_t work = std::max<size_t>(1, x.columns_ * x.tokens_);
  pool.parallel_for(count, round_up(std::max(kRowUnit, kGrainWork / work), kRowUnit), std::cref(run));
}

}  // namespace bantam::kernels
