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
  packed_ = Rounding::kNone;
}

/// The packed rows, made on first use: whole tiles at the start of the storage, then the single rows.
void Activations::pack(const Table& table, Rounding rounding, Product& product) {
  const size_t blocks = columns_ / kBlock;
  auto* tiles = reinterpret_cast<ActivationTile*>(storage_.data());
  auto* singles = reinterpret_cast<ActivationBlock*>(tiles + tile_rows_of(tokens_) * blocks);
  assert(bytes(tokens_, columns_) <= storage_.bytes());
  product.tiles = tiles;
  product.blocks = singles;
  product.tile_rows = tile_rows_of(tokens_);
  product.single_rows = single_rows_of(tokens_);
  if (packed_ == rounding) return;
  const bool super = rounding == Rounding::kSuper;
  const auto pack_tiles = super ? table.pack_super_tiles : table.pack_tiles;
  const auto pack_blocks = super ? table.pack_super_blocks : table.pack_blocks;
  const size_t tiled = tokens_ - product.single_rows;
  for (size_t t = 0; t < tiled; t += kTileRows) {
    pack_tiles(x_ + t * stride_, stride_, std::min(kTileRows, tiled - t), blocks,
               tiles + t / kTileRows * blocks);
  }
  for (size_t t = tiled; t < tokens_; ++t)
    pack_blocks(x_ + t * stride_, blocks, singles + (t - tiled) * blocks);
  packed_ = rounding;
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
  const Rounding rounding = rounding_for(weights.type);
  if (rounding != Rounding::kNone) x.pack(table, rounding, product);
  const auto kernel = table.matmul(weights.type);
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
