#include "kernels/matmul.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <memory>

namespace bantam::kernels {
namespace {

using tensor::DType;

/// Rows are dealt out in multiples of what a kernel takes at once.
constexpr size_t kRowUnit = 8;
/// Multiply-adds that are worth waking another thread for (about 20 microseconds), and with panels, which are
/// faster and whose threads are awake between a forward pass's products.
constexpr size_t kGrainWork = size_t{1} << 20, kPanelGrainWork = size_t{1} << 15;
/// Weights taken apart that wait for all tokens: within half of a small L2 cache.
constexpr size_t kScratchBytes = size_t{1} << 18;
/// Of a matrix that are copied before its stored rows are forgotten.
constexpr size_t kCopyBytes = size_t{1} << 20;
/// Tokens at which rounding them is work for several threads.
constexpr size_t kManyTokens = 32;
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
  const size_t blocks = columns / kBlock, supers = columns / tensor::kSuperBlock;
  const size_t tiles = (tokens + kTileRows) / kTileRows * blocks * sizeof(ActivationTile) +
                       kMostSingles * blocks * sizeof(ActivationBlock);
  return std::max({tiles, tokens * blocks * sizeof(PanelBlock), tokens * supers * sizeof(PanelSuper)});
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
  form_ = Form::kNone;
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
  if (packed_ == rounding && form_ == Form::kTiles) return;
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
  form_ = Form::kTiles;
}

/// The packed rows in groups, made on first use.
const std::byte* Activations::pack_panels(const Table& table, ThreadPool& pool, Rounding rounding) {
  if (packed_ == rounding && form_ == Form::kPanels) return storage_.data();
  assert(bytes(tokens_, columns_) <= storage_.bytes());
  const bool super = rounding == Rounding::kSuper;
  const size_t units = columns_ / (super ? tensor::kSuperBlock : kBlock);
  const auto run = [&](size_t begin, size_t end) {
    for (size_t t = 0; t < end; t += group_rows(tokens_ - t)) {
      const size_t rows = group_rows(tokens_ - t);
      for (size_t i = std::max(t, begin); i < std::min(t + rows, end); ++i) {
        const float* x = x_ + i * stride_;
        const size_t at = t * units + (i - t);
        if (super) {
          table.pack_panel_supers(x, units, reinterpret_cast<PanelSuper*>(storage_.data()) + at, rows);
        } else {
          table.pack_panel_blocks(x, units, reinterpret_cast<PanelBlock*>(storage_.data()) + at, rows);
        }
      }
    }
  };
  if (tokens_ < kManyTokens) {
    run(0, tokens_);
  } else {
    pool.parallel_for(tokens_, kGroupRows, std::cref(run));
  }
  packed_ = rounding;
  form_ = Form::kPanels;
  return storage_.data();
}

/// What has the run of Activations: the products themselves.
class Products {
 public:
  struct Panels {
    const PanelKernels* kernels;
    PanelProduct product;
    size_t first, count;
  };
  static Panels panels_of(const Table& table, const MatmulPart& part, const Activations& x,
                          const std::byte* packed, size_t first);
  static void rows(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, Activations& x,
                   float* y, size_t y_stride, std::span<const int32_t> rows);
  static void panels(const Table& table, ThreadPool& pool, std::span<const MatmulPart> parts, Activations& x);
};

void Products::rows(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, Activations& x,
                    float* y, size_t y_stride, std::span<const int32_t> rows) {
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

namespace {

/// Memory for weights taken apart, of each thread.
std::byte* scratch_of(size_t bytes) {
  thread_local std::unique_ptr<std::byte[]> memory;
  thread_local size_t size = 0;
  constexpr size_t kAlignment = 64;
  if (size < bytes) {
    memory.reset(new std::byte[bytes + kAlignment]);
    size = bytes;
  }
  const auto address = reinterpret_cast<uintptr_t>(memory.get());
  return memory.get() + (kAlignment - address % kAlignment) % kAlignment;
}

bool in_panels(const Table& table, const tensor::MatrixView& weights) {
  return weights.panels != nullptr && table.panels(weights.type) != nullptr;
}

}  // namespace

/// One product among those that share their activations. `first`: where its panels are among all.
Products::Panels Products::panels_of(const Table& table, const MatmulPart& part, const Activations& x,
                                     const std::byte* packed, size_t first) {
  const tensor::MatrixView& w = *part.weights;
  assert(w.columns == x.columns_);
  return {.kernels = table.panels(w.type),
          .product = {.panels = w.panels,
                      .lanes = table.lanes,
                      .panel_bytes = panel_bytes(w.type, table.lanes, w.columns),
                      .begin = 0,
                      .end = 0,
                      .rows = w.rows,
                      .columns = w.columns,
                      .x = packed,
                      .tokens = x.tokens_,
                      .y = part.y,
                      .y_stride = part.y_stride,
                      .scratch = nullptr,
                      .scratch_bytes = 0},
          .first = first,
          .count = (w.rows + table.lanes - 1) / table.lanes};
}

/// The panels of all parts, one after the other, are what the threads share.
void Products::panels(const Table& table, ThreadPool& pool, std::span<const MatmulPart> parts,
                      Activations& x) {
  std::array<Panels, kMostParts> ones;
  size_t panels = 0, scratch = 0, used = 0;
  for (const MatmulPart& part : parts) {
    const std::byte* packed = x.pack_panels(table, pool, rounding_for(part.weights->type));
    const Panels& one = ones[used++] = panels_of(table, part, x, packed, panels);
    panels += one.count;
    if (x.tokens_ > 1) scratch = std::max(scratch, 2 * one.kernels->scratch_bytes(x.columns_));
  }
  if (scratch > 0) scratch = std::max(scratch, kScratchBytes);
  const auto run = [&](size_t begin, size_t end) {
    std::byte* memory = scratch > 0 ? scratch_of(scratch) : nullptr;
    for (size_t k = 0; k < used; ++k) {
      const Panels& one = ones[k];
      if (end <= one.first || begin >= one.first + one.count) continue;
      PanelProduct product = one.product;
      product.begin = std::max(begin, one.first) - one.first;
      product.end = std::min(end, one.first + one.count) - one.first;
      product.scratch = memory;
      product.scratch_bytes = scratch;
      one.kernels->multiply(product);
    }
  };
  const size_t work = std::max<size_t>(1, table.lanes * x.columns_ * x.tokens_);
  pool.parallel_for(panels, std::max<size_t>(x.tokens_ > 1 ? 2 : 1, kPanelGrainWork / work), std::cref(run));
}

void matmul(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, Activations& x, float* y,
            size_t y_stride, std::span<const int32_t> rows) {
  if (!rows.empty() || !in_panels(table, weights))
    return Products::rows(table, pool, weights, x, y, y_stride, rows);
  const MatmulPart part{&weights, y, y_stride};
  matmul(table, pool, {&part, 1}, x);
}

void matmul(const Table& table, ThreadPool& pool, std::span<const MatmulPart> parts, Activations& x) {
  assert(parts.size() <= kMostParts);
  // Those of one rounding together, so that the activations are rounded once for each.
  for (Rounding rounding : {Rounding::kBlock, Rounding::kSuper}) {
    std::array<MatmulPart, kMostParts> some;
    size_t count = 0;
    for (const MatmulPart& part : parts) {
      if (in_panels(table, *part.weights) && rounding_for(part.weights->type) == rounding &&
          part.weights->rows > 0)
        some[count++] = part;
    }
    if (count > 0 && x.tokens() > 0) Products::panels(table, pool, std::span(some).first(count), x);
  }
  for (const MatmulPart& part : parts) {
    if (!in_panels(table, *part.weights))
      Products::rows(table, pool, *part.weights, x, part.y, part.y_stride, {});
  }
}

void attend(const Table& table, tensor::DType type, Attention attention) {
  attention.scratch =
      reinterpret_cast<float*>(scratch_of(attention_scratch(attention.kv_stride) * sizeof(float)));
  switch (type) {
    case tensor::DType::kF32:
      return table.attention_f32(attention);
    case tensor::DType::kQ8_0:
      return table.attention_q8_0(attention);
    default:
      return table.attention_f16(attention);
  }
}

size_t panels_size(const Table& table, const tensor::MatrixView& weights) {
  if (table.lanes == 0 || table.panels(weights.type) == nullptr) return 0;
  return (weights.rows + table.lanes - 1) / table.lanes * table.lanes * weights.row_bytes();
}

void copy_as_panels(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, std::byte* out,
                    const std::function<void(std::span<const std::byte>)>& done) {
  const size_t lanes = table.lanes, bytes = lanes * weights.row_bytes(),
               panels = (weights.rows + lanes - 1) / lanes, at_once = std::max<size_t>(1, kCopyBytes / bytes);
  const auto run = [&](size_t begin, size_t end) {
    for (size_t first = begin; first < end; first += at_once) {
      const size_t last = std::min(end, first + at_once);
      for (size_t panel = first; panel < last; ++panel) {
        make_panel(weights.type, lanes, weights.row(panel * lanes), weights.row_bytes(),
                   std::min(lanes, weights.rows - panel * lanes), weights.columns, out + panel * bytes);
      }
      done({weights.row(first * lanes), weights.row(std::min(weights.rows, last * lanes))});
    }
  };
  pool.parallel_for(panels, 1, std::cref(run));
}

}  // namespace bantam::kernels
