#pragma once
// Activations rounded to int8 with vectors of 128 bits: the bits of kernels/ref. See eight.h for N.

#include "kernels/quanta.h"
#include "kernels/simd128/eight.h"
#include "kernels/table.h"

namespace bantam::kernels::simd128 {

template <class N>
class Pack {
  using E = Eight<N>;
  using F = typename E::F;
  static constexpr size_t kEach = tensor::kSuperBlock / kBlock;

  static float largest(const float* x, size_t n) {
    F most = E::all(0.0F);
    for (size_t c = 0; c < n; c += 8) most = E::max(E::abs(E::load(x + c)), most);
    return E::max_of(most);
  }

  /// q = x * inverse to the nearest, ties to even.
  static void pack_block(const float* x, float scale, float inverse, ActivationBlock& out) {
    const auto by = N::all(inverse);
    auto sum = N::all_i(0);
    for (size_t half = 0; half < kBlock; half += 16) {
      const auto four = [&](size_t i) { return N::to_int(N::mul(N::load(x + half + 4 * i), by)); };
      const auto q = N::narrow(four(0), four(1), four(2), four(3));
      N::store_s8(out.q + half, q);
      sum = N::sum_bytes(sum, q);
    }
    out.scale = scale;
    out.sum = N::sum_of_i(sum);
  }

  /// Blocks whose scale is its own, or shared by kEach of them.
  static void block(const float* x, ActivationBlock& out) {
    const float amax = largest(x, kBlock), scale = N::round_to_half(amax / 127.0F);
    pack_block(x, scale, scale == 0 ? 0.0F : 127.0F / amax, out);
  }
  static void super(const float* x, ActivationBlock* out) {
    float inverse = 127.0F / largest(x, tensor::kSuperBlock), scale = 0;
    if (inverse <= kLargestInverse) {
      scale = 1.0F / inverse;
    } else {
      inverse = 0;
    }
    for (size_t k = 0; k < kEach; ++k) pack_block(x + k * kBlock, scale, inverse, out[k]);
  }

  static void put(const ActivationBlock& row, size_t t, ActivationTile& tile) {
    for (size_t i = 0; i < kBlock / 4; ++i) memcpy(tile.q[i][t], row.q + 4 * i, 4);
    tile.scale[t] = row.scale;
    tile.sum[t] = row.sum;
  }

 public:
  static void blocks(const float* x, size_t blocks, ActivationBlock* out) {
    for (size_t b = 0; b < blocks; ++b) block(x + b * kBlock, out[b]);
  }
  static void super_blocks(const float* x, size_t blocks, ActivationBlock* out) {
    for (size_t b = 0; b < blocks; b += kEach) super(x + b * kBlock, out + b);
  }

  static void tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles) {
    for (size_t b = 0; b < blocks; ++b) {
      for (size_t t = 0; t < kTileRows; ++t) {
        ActivationBlock row = {};
        if (t < rows) block(x + t * x_stride + b * kBlock, row);
        put(row, t, tiles[b]);
      }
    }
  }
  static void super_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks,
                          ActivationTile* tiles) {
    for (size_t b = 0; b < blocks; b += kEach) {
      for (size_t t = 0; t < kTileRows; ++t) {
        ActivationBlock row[kEach] = {};
        if (t < rows) super(x + t * x_stride + b * kBlock, row);
        for (size_t k = 0; k < kEach; ++k) put(row[k], t, tiles[b + k]);
      }
    }
  }
};

}  // namespace bantam::kernels::simd128
