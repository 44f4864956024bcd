#pragma once
// Attention (attention_tiles.h) with vectors of 128 bits; see eight.h for N.

#include "kernels/attention_tiles.h"
#include "kernels/simd128/eight.h"

namespace bantam::kernels::simd128 {

/// Keys and values as floats. Their rows are whole vectors of 8.
template <class N>
struct Floats {
  using Element = float;
  static typename Eight<N>::F load(const float* at, size_t) { return Eight<N>::load(at); }
};
/// As binary16.
template <class N>
struct Halves {
  using Element = uint16_t;
  static typename Eight<N>::F load(const uint16_t* at, size_t) {
    return {N::from_halves(at), N::from_halves(at + 4)};
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

}  // namespace bantam::kernels::simd128
