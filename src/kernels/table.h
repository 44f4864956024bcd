#pragma once
// The kernels of one instruction set as a table of functions, and the choice among the tables. Everything
// here is plain data, so that files compiled for a newer instruction set emit no code that others might call.
//
// Every kernel gives each row of its output the same bits whatever rows are computed beside it: a token's
// result does not depend on the batch it was in. That is what lets a cached prefix, a split prompt or another
// batch size change nothing.

#include <cstddef>
#include <cstdint>

#include "kernels/panels.h"
#include "tensor/dtype.h"

namespace bantam::kernels {

using tensor::kBlock;

/// Rows of activations that are interleaved for the integer products.
inline constexpr size_t kTileRows = 8;

/// One block of 32 columns of 8 rows of activations, x = scale * q: element 4*i + j of row t is q[i][t][j].
/// sum[t] is the sum of the row's 32 q.
struct ActivationTile {
  int8_t q[kBlock / 4][kTileRows][4];
  float scale[kTileRows];  // exactly representable in binary16, but for Rounding::kSuper
  int32_t sum[kTileRows];
};

/// One block of 32 columns of one row of activations, as in ActivationTile.
struct ActivationBlock {
  int8_t q[kBlock];
  float scale;
  int32_t sum;
};

/// y[t * y_stride + i - begin] = dot(x row t, weight row i) for begin <= i < end and t < tokens, where weight
/// row i is rows[i] when rows is given, else i. F32, F16 and BF16 weights read x. Quantised weights read the
/// first 8 * tile_rows tokens (fewer in the last tile row) from `tiles`, [tile_rows][columns / 32], and the
/// last single_rows tokens from `blocks`, [single_rows][columns / 32].
struct Product {
  const std::byte* weights;
  size_t row_bytes;
  const int32_t* rows;
  size_t begin, end;
  size_t columns;
  const float* x;
  size_t x_stride;  // floats between rows
  const ActivationTile* tiles;
  const ActivationBlock* blocks;
  size_t tokens;
  size_t tile_rows;
  size_t single_rows;
  float* y;
  size_t y_stride;
};

/// Attention of `queries` rows of `group` query heads, head_dim floats apart, over one key/value head
/// (Vaswani et al. 2017, section 3.2.1), causal: row t sees the keys 0 .. positions[t], or the last `window`
/// of them where that is not 0. out = softmax(scale * q K^T) V, with cap(x) = softcap * tanh(x / softcap)
/// before the softmax where softcap is not 0 (Bello et al. 2016), computed over tiles of kKeyTile keys with a
/// running maximum (Milakov and Gimelshein 2018), so that no score matrix is kept.
struct Attention {
  const float* q;
  size_t q_stride;
  const uint32_t* positions;
  size_t queries;
  /// Page p holds the keys kKeyTile * p to kKeyTile * (p + 1) - 1: rows of kv_stride channels (float, binary16 or blocks of Q8_0; zero
  /// from head_dim on) from byte `keys` of the page on, values from byte `values` on.
  const std::byte* const* pages;
  size_t keys, values;
  size_t kv_stride;  // a multiple of 8, of blocks of 32
  size_t head_dim;     // at most kMaxHeadDim
  float scale;
  float* out;
  size_t out_stride;
  uint32_t window = 0;
  float softcap = 0;
  size_t group = 1;
  float* scratch = nullptr;  // attention_scratch(kv_stride) floats, 64-byte aligned
};
inline constexpr size_t kKeyTile = 64;
inline constexpr size_t kQueryRows = 48;  // queries by heads of a group that meet a tile of keys at a time
inline constexpr size_t kMaxHeadDim = 1024;

/// Floats for the rows' queries and sums, and a tile of keys and of values, in whole vectors.
static constexpr size_t attention_scratch(size_t kv_stride) {
  return (kv_stride + 15) / 16 * 16 * 2 * (kQueryRows + kKeyTile);
}

/// pack_super_*: where 127 / amax is no finite number, the blocks are zeros.
inline constexpr float kLargestInverse = 3.4028234664e38F;

using Matmul = void (*)(const Product&);

/// REQUIRES for all: pointers valid for the sizes named, of any alignment; n may be 0. Values that are not
/// finite give unspecified results but are safe.
struct Table {
  const char* name;

  /// The product with weights of a type, never null.
  Matmul (*matmul)(tensor::DType type);

  /// Rows of a panel (panels.h), 0 where there are none, and the products with panels of a type, null where
  /// that has none.
  size_t lanes;
  const PanelKernels* (*panels)(tensor::DType type);
  /// Rounds one row as pack_blocks and pack_super_blocks do; its blocks lie `step` apart.
  void (*pack_panel_blocks)(const float* x, size_t blocks, PanelBlock* out, size_t step);
  void (*pack_panel_supers)(const float* x, size_t supers, PanelSuper* out, size_t step);

  /// Rounds `rows` (1 to 8) rows of 32 * blocks floats to int8: scale = amax / 127 rounded to binary16, q = x
  /// * 127 / amax to the nearest integer, ties to even; a block whose scale is zero has q = 0. Missing rows
  /// of the tiles become zero.
  void (*pack_tiles)(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles);
  void (*pack_blocks)(const float* x, size_t blocks, ActivationBlock* out);
  /// As above, with one scale for each 8 blocks (Rounding::kSuper): scale = 1 / (127 / amax), not rounded.
  /// `blocks` is a multiple of 8.
  void (*pack_super_tiles)(const float* x, size_t x_stride, size_t rows, size_t blocks,
                           ActivationTile* tiles);
  void (*pack_super_blocks)(const float* x, size_t blocks, ActivationBlock* out);

  /// y[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps) (Zhang and Sennrich 2019).
  void (*rms_norm)(const float* x, const float* weight, float eps, size_t n, float* y);
  /// Rotates head_dim channels in place; cos and sin have head_dim / 2 entries (Su et al. 2021).
  void (*rope_interleaved)(float* x, const float* cos, const float* sin,
                           size_t head_dim);  // pairs (2i, 2i+1)
  void (*rope_half)(float* x, const float* cos, const float* sin,
                    size_t head_dim);  // pairs (i, i + head_dim/2)
  /// gate[i] = silu(gate[i]) * up[i] (Shazeer 2020).
  void (*swiglu)(float* gate, const float* up, size_t n);
  /// The same with gelu(x) = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 (Hendrycks and Gimpel 2016).
  void (*geglu)(float* gate, const float* up, size_t n);
  /// x[i] += y[i].
  void (*add)(float* x, const float* y, size_t n);
  /// x = softmax(x) in place, by way of the maximum.
  void (*softmax)(float* x, size_t n);

  void (*attention_f32)(const Attention&);
  void (*attention_f16)(const Attention&);
  void (*attention_q8_0)(const Attention&);

  void (*f32_to_f16)(const float* x, uint16_t* y, size_t n);  // nearest, ties to even
  void (*f16_to_f32)(const uint16_t* x, float* y, size_t n);

  /// As many int8 multiply-adds as fit in `rounds` rounds of nothing else; returns how many. May be null.
  uint64_t (*int8_work)(uint64_t rounds);
};

namespace ref {
const Table& table();
}
namespace x86_avx2 {
const Table& table();
}
namespace x86_avx512 {
const Table& table();
}
namespace arm_neon {
const Table& plain();
const Table& dotprod();
const Table& i8mm();
}  // namespace arm_neon
namespace wasm_simd {
const Table& table();
}

}  // namespace bantam::kernels
