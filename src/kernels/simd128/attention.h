#pragma once
// Attention (attention_tiles.h) with vectors of 128 bits; see eight.h for N.

#include "kernels/attention_tiles.h"
#include "kernels/simd128/eight.h"
#include "tensor/blocks.h"

namespace bantam::kernels::simd128 {

/// Keys and values as floats. Their rows are whole vectors of 8.
template <class N>
struct Floats {
  using Element = float;
  static constexpr size_t kChannels = 1;
  static typename Eight<N>::F load(const float* row, size_t c, size_t) { return Eight<N>::load(row + c); }
};
/// As binary16.
template <class N>
struct Halves {
  using Element = uint16_t;
  static constexpr size_t kChannels = 1;
  static typename Eight<N>::F load(const uint16_t* row, size_t c, size_t) {
    return {N::from_halves(row + c), N::from_halves(row + c + 4)};
  }
};
/// As blocks of Q8_0.
template <class N>
struct Blocks {
  using Element = tensor::BlockQ8_0;
  static constexpr size_t kChannels = tensor::kBlock;
  static typename Eight<N>::F load(const tensor::BlockQ8_0* row, size_t c, size_t) {
    const tensor::BlockQ8_0& block = row[c / kChannels];
    const int8_t* q = block.q + c % kChannels;
    const auto scale = N::all(N::template lane<0>(N::halves(block.scale)));
    return {N::mul(N::from_bytes(q), scale), N::mul(N::from_bytes(q + 4), scale)};
  }
};

template <class N>
void attention_f32(const Attention& a) {
  TiledAttention<Eight<N>, Floats<N>>::run(a);
}
template <class N>
void attention_f16(const Attention& a) {
  TiledAttention<Eight<N>, Halves<N>>::run(a);
}
template <class N>
void attention_q8_0(const Attention& a) {
  TiledAttention<Eight<N>, Blocks<N>>::run(a);
}

}  // namespace bantam::kernels::simd128
