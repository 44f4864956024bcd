#pragma once
// Eight floats as two vectors of 128 bits. The instruction sets that have such vectors (arm_neon, wasm_simd)
// share the kernels of this folder: templates over N, a struct with the operations on one vector
// (arm_neon/simd.h), which has internal linkage, and so has everything made of it: code compiled for a newer
// instruction set is never the copy that the linker keeps for the rest of the program.
//
// Lanes, and the order in which they are added, are those of x86_avx2: where multiply-add is fused, the
// results have the same bits as there.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bantam::kernels::simd128 {

template <class N>
struct Eight {
  using Four = typename N::F;
  struct F {
    Four low, high;
  };
  static constexpr size_t kLanes = 8;
  static constexpr int kColumns = 2;  // of attention_tiles.h: by six rows, what 32 registers hold

  static F load(const float* at) { return {N::load(at), N::load(at + 4)}; }
  static void store(float* at, F v) {
    N::store(at, v.low);
    N::store(at + 4, v.high);
  }
  /// The first n (at most 8), the rest zero.
  static F load(const float* at, size_t n) {
    float whole[kLanes] = {};
    memcpy(whole, at, n * sizeof(float));
    return load(whole);
  }
  static void store(float* at, F v, size_t n) {
    float whole[kLanes];
    store(whole, v);
    memcpy(at, whole, n * sizeof(float));
  }

  static F all(float x) { return {N::all(x), N::all(x)}; }
  static F add(F a, F b) { return {N::add(a.low, b.low), N::add(a.high, b.high)}; }
  static F sub(F a, F b) { return {N::sub(a.low, b.low), N::sub(a.high, b.high)}; }
  static F mul(F a, F b) { return {N::mul(a.low, b.low), N::mul(a.high, b.high)}; }
  static F div(F a, F b) { return {N::div(a.low, b.low), N::div(a.high, b.high)}; }
  static F max(F a, F b) { return {N::max(a.low, b.low), N::max(a.high, b.high)}; }
  static F sqrt(F a) { return {N::sqrt(a.low), N::sqrt(a.high)}; }
  static F abs(F a) { return {N::abs(a.low), N::abs(a.high)}; }
  /// a * b + c
  static F fma(F a, F b, F c) { return {N::fma(a.low, b.low, c.low), N::fma(a.high, b.high, c.high)}; }

  static F exp(F x) { return {exp4(x.low), exp4(x.high)}; }
  /// tanh(x) within 4e-7: 1 - 2 / (exp(2x) + 1), whose rounding is that of 1.
  static F tanh(F x) {
    const F one = all(1.0F);
    return sub(one, div(all(2.0F), add(exp(add(x, x)), one)));
  }

  static float sum_of(F v) {
    const Four s = N::add(v.low, v.high);
    return (N::template lane<0>(s) + N::template lane<2>(s)) +
           (N::template lane<1>(s) + N::template lane<3>(s));
  }
  static float max_of(F v) { return N::max_of(N::max(v.low, v.high)); }
  static float first(F v) { return N::template lane<0>(v.low); }
  /// Lane i is the sum of v[i]'s lanes, in the same order for every i.
  static F sums_of(const F (&v)[8]) { return {sums4(v), sums4(v + 4)}; }

  /// v in lanes from .. to - 1, else `other`.
  static F between(F v, int from, int to, float other) {
    return {N::between(v.low, from, to, other), N::between(v.high, from - 4, to - 4, other)};
  }

  /// Lane j of v[i] becomes lane i of v[j].
  static void transpose(F (&v)[8]) {
    for (int i = 0; i < 8; i += 4) {
      N::transpose(v[i].low, v[i + 1].low, v[i + 2].low, v[i + 3].low);
      N::transpose(v[i].high, v[i + 1].high, v[i + 2].high, v[i + 3].high);
    }
    for (int i = 0; i < 4; ++i) {
      const Four low = v[i + 4].low;
      v[i + 4].low = v[i].high;
      v[i].high = low;
    }
  }

 private:
  /// exp(x) with a relative error below 3e-7; 0 below -87.3, exp(88) above 88. exp(x) = 2^n exp(r) with |r|
  /// <= ln(2)/2, where the Taylor series to r^7 leaves 6e-9.
  static Four exp4(Four x) {
    const Four bounded = N::min(N::all(88.0F), x);
    const Four n = N::nearest(N::mul(bounded, N::all(1.44269504F)));
    // ln(2) in two parts: the first has few enough bits for n times it to be exact.
    Four r = N::minus_product(n, N::all(0x1.62ep-1F), bounded);
    r = N::minus_product(n, N::all(0x1.0bfbe8p-15F), r);
    constexpr float kTerms[] = {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F};
    Four y = N::all(1.0F / 5040);
    for (const float& term : kTerms) y = N::fma(y, r, N::all(term));
    return N::zero_below(N::times_power(y, n), x, -87.3F);
  }

  static Four sums4(const F* v) {
    return N::add(N::pairs(N::pairs(v[0].low, v[1].low), N::pairs(v[2].low, v[3].low)),
                  N::pairs(N::pairs(v[0].high, v[1].high), N::pairs(v[2].high, v[3].high)));
  }
};

}  // namespace bantam::kernels::simd128
