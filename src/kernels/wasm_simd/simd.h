#pragma once
// One WebAssembly vector (SIMD128) for the kernels of simd128, see eight.h there.
//
// There is no fused multiply-add. fma and minus_product round twice; where ref fuses, fma_exact computes in
// binary64, which holds the product exactly: only a sum whose binary64 rounding falls on the middle between
// two binary32 numbers (one in 2^29) is rounded the other way than fused, by one unit in the last place.

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/half.h"

namespace bantam::kernels::wasm_simd {
namespace {  // NOLINT(google-build-namespaces)

struct Wasm {
  using F = v128_t;
  using I = v128_t;
  using H = v128_t;
  using S = v128_t;
  using U = v128_t;

  // Floats.
  static F load(const float* at) { return wasm_v128_load(at); }
  static void store(float* at, F v) { wasm_v128_store(at, v); }
  static F all(float x) { return wasm_f32x4_splat(x); }
  static F add(F a, F b) { return wasm_f32x4_add(a, b); }
  static F sub(F a, F b) { return wasm_f32x4_sub(a, b); }
  static F mul(F a, F b) { return wasm_f32x4_mul(a, b); }
  static F div(F a, F b) { return wasm_f32x4_div(a, b); }
  static F max(F a, F b) { return wasm_f32x4_max(a, b); }
  static F min(F a, F b) { return wasm_f32x4_min(a, b); }
  static F abs(F a) { return wasm_f32x4_abs(a); }
  static F sqrt(F a) { return wasm_f32x4_sqrt(a); }
  static F fma(F a, F b, F c) { return add(mul(a, b), c); }
  /// c - a * b
  static F minus_product(F a, F b, F c) { return sub(c, mul(a, b)); }
  static F fma_exact(F a, F b, F c) {
    const F low =
        wasm_f64x2_add(wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(a), wasm_f64x2_promote_low_f32x4(b)),
                       wasm_f64x2_promote_low_f32x4(c));
    const F high = wasm_f64x2_add(
        wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(upper(a)), wasm_f64x2_promote_low_f32x4(upper(b))),
        wasm_f64x2_promote_low_f32x4(upper(c)));
    return wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 2);
  }
  static F minus_product_exact(F a, F b, F c) { return fma_exact(wasm_f32x4_neg(a), b, c); }
  /// To an integer, ties to even.
  static F nearest(F a) { return wasm_f32x4_nearest(a); }
  /// v, but 0 where x is below the limit.
  static F zero_below(F v, F x, float limit) { return wasm_v128_andnot(v, wasm_f32x4_lt(x, all(limit))); }
  /// v * 2^n for integral n that keep it normal.
  static F times_power(F v, F n) { return wasm_i32x4_add(v, wasm_i32x4_shl(to_int(n), 23)); }
  /// Sums of neighbours: of a's, then of b's.
  static F pairs(F a, F b) {
    return add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
  }
  static float max_of(F v) {
    const F half = max(v, upper(v));
    return lane<0>(max(half, wasm_i32x4_shuffle(half, half, 1, 1, 1, 1)));
  }
  template <int i>
  static float lane(F v) {
    return wasm_f32x4_extract_lane(v, i);
  }
  /// v in lanes from .. to - 1, else `other`.
  static F between(F v, int from, int to, float other) {
    const I lane = wasm_i32x4_const(0, 1, 2, 3);
    const I inside = wasm_v128_and(wasm_i32x4_ge(lane, all_i(from)), wasm_i32x4_lt(lane, all_i(to)));
    return wasm_v128_bitselect(v, all(other), inside);
  }
  /// Lane j of the i'th becomes lane i of the j'th.
  static void transpose(F& a, F& b, F& c, F& d) {
    const F ab = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab_upper = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
    const F cd = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd_upper = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    a = wasm_i64x2_shuffle(ab, cd, 0, 2);
    b = wasm_i64x2_shuffle(ab, cd, 1, 3);
    c = wasm_i64x2_shuffle(ab_upper, cd_upper, 0, 2);
    d = wasm_i64x2_shuffle(ab_upper, cd_upper, 1, 3);
  }
  /// The even and the odd ones of eight.
  static void load_pairs(const float* at, F& even, F& odd) {
    const F low = load(at), high = load(at + 4);
    even = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
    odd = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
  }
  static void store_pairs(float* at, F even, F odd) {
    store(at, wasm_i32x4_shuffle(even, odd, 0, 4, 1, 5));
    store(at + 4, wasm_i32x4_shuffle(even, odd, 2, 6, 3, 7));
  }

  /// Four bytes.
  static F from_bytes(const int8_t* at) {
    return to_float(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(at))));
  }

  // Floats of 16 bits.
  static F from_halves(const uint16_t* at) { return widen_halves(wasm_u32x4_load16x4(at)); }
  static F from_bfloats(const uint16_t* at) { return wasm_i32x4_shl(wasm_u32x4_load16x4(at), 16); }
  static void to_halves(uint16_t* at, F v) {
    float values[4];
    store(values, v);
    for (int i = 0; i < 4; ++i) at[i] = tensor::float_to_half(values[i]);
  }
  /// Four binary16, the first in the lowest bits.
  static F halves(uint64_t four) {
    return widen_halves(wasm_u32x4_extend_low_u16x8(wasm_i64x2_make(static_cast<int64_t>(four), 0)));
  }
  static float round_to_half(float x) { return tensor::half_to_float(tensor::float_to_half(x)); }

  // Integers of 32 bits.
  static I all_i(int32_t x) { return wasm_i32x4_splat(x); }
  static I load_i(const int32_t* at) { return wasm_v128_load(at); }
  static void store_i(int32_t* at, I v) { wasm_v128_store(at, v); }
  static I sub_i(I a, I b) { return wasm_i32x4_sub(a, b); }
  /// acc + a * b
  static I mul_add_i(I acc, I a, I b) { return wasm_i32x4_add(acc, wasm_i32x4_mul(a, b)); }
  template <int lane>
  static I mul_lane_add_i(I acc, I a, I b) {
    return mul_add_i(acc, a, wasm_i32x4_shuffle(b, b, lane, lane, lane, lane));
  }
  static I pairs_i(I a, I b) {
    return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
  }
  static int32_t sum_of_i(I v) {
    const I half = wasm_i32x4_add(v, upper(v));
    return wasm_i32x4_extract_lane(half, 0) + wasm_i32x4_extract_lane(half, 1);
  }
  static F to_float(I v) { return wasm_f32x4_convert_i32x4(v); }
  /// To the nearest, ties to even.
  static I to_int(F v) { return wasm_i32x4_trunc_sat_f32x4(nearest(v)); }

  // Bytes.
  static S load_s8(const int8_t* at) { return wasm_v128_load(at); }
  static void store_s8(int8_t* at, S v) { wasm_v128_store(at, v); }
  static U load_u8(const uint8_t* at) { return wasm_v128_load(at); }
  static U all_u8(uint8_t x) { return wasm_u8x16_splat(x); }
  static S as_signed(U v) { return v; }
  static U as_unsigned(S v) { return v; }
  static S bytes_of(uint64_t first, uint64_t second) {
    return wasm_i64x2_make(static_cast<int64_t>(first), static_cast<int64_t>(second));
  }
  template <int n>
  static U shift_right(U v) {
    return n == 0 ? v : wasm_u8x16_shr(v, n);
  }
  template <int n>
  static U shift_left(U v) {
    return wasm_i8x16_shl(v, n);
  }
  static U all_of(U v, uint8_t mask) { return wasm_v128_and(v, all_u8(mask)); }
  static U any_of(U a, U b) { return wasm_v128_or(a, b); }
  static S less(U v, int8_t by) { return wasm_i8x16_sub(v, wasm_i8x16_splat(by)); }
  static U mul_u8(U a, U b) {
    return wasm_i8x16_shuffle(wasm_u16x8_extmul_low_u8x16(a, b), wasm_u16x8_extmul_high_u8x16(a, b), 0, 2, 4,
                              6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  }
  /// 255 where it is so, else 0.
  static U at_least(U v, uint8_t least) { return wasm_u8x16_ge(v, all_u8(least)); }
  /// How many of the two are 255.
  static U count(U a, U b) { return wasm_i8x16_neg(wasm_i8x16_add(a, b)); }
  /// 255 where bit `lane` is set.
  static U spread(uint16_t bits) {
    const U each = wasm_i8x16_swizzle(wasm_u16x8_splat(bits),
                                      wasm_u8x16_const(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    const U bit = wasm_u8x16_const(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
    return wasm_i8x16_eq(wasm_v128_and(each, bit), bit);
  }
  static S look_up(const int8_t (&table)[16], U at) { return wasm_i8x16_swizzle(wasm_v128_load(table), at); }
  /// 16 integers, held to -128 .. 127.
  static S narrow(I a, I b, I c, I d) {
    return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d));
  }
  static void widen(S v, I (&out)[4]) {
    const H low = wasm_i16x8_extend_low_i8x16(v), high = wasm_i16x8_extend_high_i8x16(v);
    out[0] = wasm_i32x4_extend_low_i16x8(low);
    out[1] = wasm_i32x4_extend_high_i16x8(low);
    out[2] = wasm_i32x4_extend_low_i16x8(high);
    out[3] = wasm_i32x4_extend_high_i16x8(high);
  }
  /// acc's lanes plus sums of four bytes each.
  static I sum_bytes(I acc, S v) { return add_pairs(acc, wasm_i16x8_extadd_pairwise_i8x16(v)); }

  // Products of bytes, in 16 bits: of the lower and of the upper eight.
  static H mul_low(S a, S b) { return wasm_i16x8_extmul_low_i8x16(a, b); }
  static H mul_high(S a, S b) { return wasm_i16x8_extmul_high_i8x16(a, b); }
  static H mul_low_add(H acc, S a, S b) { return wasm_i16x8_add(acc, mul_low(a, b)); }
  static H mul_high_add(H acc, S a, S b) { return wasm_i16x8_add(acc, mul_high(a, b)); }
  /// acc's lanes plus sums of two neighbours each.
  static I add_pairs(I acc, H v) { return wasm_i32x4_add(acc, wasm_i32x4_extadd_pairwise_i16x8(v)); }
  /// Bytes 4 i .. 4 i + 3, four times.
  template <int i>
  static S repeat4(S v) {
    return wasm_i32x4_shuffle(v, v, i, i, i, i);
  }

 private:
  static v128_t upper(v128_t v) { return wasm_i64x2_shuffle(v, v, 1, 1); }

  /// Binary16 in each lane: exponent and mantissa moved into place and the exponent's bias made up for by a
  /// multiplication, which is exact, for subnormal numbers too.
  static F widen_halves(I half) {
    const F magnitude = mul(wasm_i32x4_shl(wasm_v128_and(half, all_i(0x7fff)), 13), all(0x1p112F));
    const I sign = wasm_i32x4_shl(wasm_v128_and(half, all_i(0x8000)), 16);
    // Infinities and NaN, which that made 2^16 and above.
    const I special = wasm_f32x4_ge(magnitude, all(0x1p16F));
    return wasm_v128_or(wasm_v128_or(magnitude, wasm_v128_and(special, all_i(0x7f800000))), sign);
  }
};

}  // namespace
}  // namespace bantam::kernels::wasm_simd
