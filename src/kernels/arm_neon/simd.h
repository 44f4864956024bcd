#pragma once
// One NEON vector for the kernels of simd128 (see eight.h there): what every 64-bit ARM processor has.
// Internal linkage, as said there.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bantam::kernels::arm_neon {
namespace {  // NOLINT(google-build-namespaces)

struct Neon {
  using F = float32x4_t;
  using I = int32x4_t;
  using H = int16x8_t;
  using S = int8x16_t;
  using U = uint8x16_t;

  // Floats.
  static F load(const float* at) { return vld1q_f32(at); }
  static void store(float* at, F v) { vst1q_f32(at, v); }
  static F all(float x) { return vdupq_n_f32(x); }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F sub(F a, F b) { return vsubq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F div(F a, F b) { return vdivq_f32(a, b); }
  static F max(F a, F b) { return vmaxq_f32(a, b); }
  static F min(F a, F b) { return vminq_f32(a, b); }
  static F abs(F a) { return vabsq_f32(a); }
  static F sqrt(F a) { return vsqrtq_f32(a); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  /// c - a * b
  static F minus_product(F a, F b, F c) { return vfmsq_f32(c, a, b); }
  static F fma_exact(F a, F b, F c) { return fma(a, b, c); }
  static F minus_product_exact(F a, F b, F c) { return minus_product(a, b, c); }
  /// To an integer, ties to even.
  static F nearest(F a) { return vrndnq_f32(a); }
  /// v, but 0 where x is below the limit.
  static F zero_below(F v, F x, float limit) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(x, all(limit))));
  }
  /// v * 2^n for integral n that keep it normal.
  static F times_power(F v, F n) {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(v), vshlq_n_s32(to_int(n), 23)));
  }
  /// Sums of neighbours: of a's, then of b's.
  static F pairs(F a, F b) { return vpaddq_f32(a, b); }
  static float max_of(F v) { return vmaxvq_f32(v); }
  template <int i>
  static float lane(F v) {
    return vgetq_lane_f32(v, i);
  }
  /// v in lanes from .. to - 1, else `other`.
  static F between(F v, int from, int to, float other) {
    constexpr int32_t kLanes[] = {0, 1, 2, 3};
    const I lane = vld1q_s32(kLanes);
    const uint32x4_t inside = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(from)), vcltq_s32(lane, vdupq_n_s32(to)));
    return vbslq_f32(inside, v, all(other));
  }
  /// Lane j of the i'th becomes lane i of the j'th.
  static void transpose(F& a, F& b, F& c, F& d) {
    const float64x2_t ab = vreinterpretq_f64_f32(vtrn1q_f32(a, b)),
                      AB = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    const float64x2_t cd = vreinterpretq_f64_f32(vtrn1q_f32(c, d)),
                      CD = vreinterpretq_f64_f32(vtrn2q_f32(c, d));
    a = vreinterpretq_f32_f64(vtrn1q_f64(ab, cd));
    b = vreinterpretq_f32_f64(vtrn1q_f64(AB, CD));
    c = vreinterpretq_f32_f64(vtrn2q_f64(ab, cd));
    d = vreinterpretq_f32_f64(vtrn2q_f64(AB, CD));
  }
  /// The even and the odd ones of eight.
  static void load_pairs(const float* at, F& even, F& odd) {
    const float32x4x2_t both = vld2q_f32(at);
    even = both.val[0];
    odd = both.val[1];
  }
  static void store_pairs(float* at, F even, F odd) { vst2q_f32(at, {{even, odd}}); }

  /// Four bytes.
  static F from_bytes(const int8_t* at) {
    uint32_t four;
    memcpy(&four, at, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))));
  }

  // Floats of 16 bits.
  static F from_halves(const uint16_t* at) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at))); }
  static F from_bfloats(const uint16_t* at) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(at), 16)); }
  static void to_halves(uint16_t* at, F v) { vst1_u16(at, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
  /// Four binary16, the first in the lowest bits.
  static F halves(uint64_t four) { return vcvt_f32_f16(vcreate_f16(four)); }
  static float round_to_half(float x) { return lane<0>(vcvt_f32_f16(vcvt_f16_f32(all(x)))); }

  // Integers of 32 bits.
  static I all_i(int32_t x) { return vdupq_n_s32(x); }
  static I load_i(const int32_t* at) { return vld1q_s32(at); }
  static void store_i(int32_t* at, I v) { vst1q_s32(at, v); }
  static I sub_i(I a, I b) { return vsubq_s32(a, b); }
  /// acc + a * b
  static I mul_add_i(I acc, I a, I b) { return vmlaq_s32(acc, a, b); }
  template <int lane>
  static I mul_lane_add_i(I acc, I a, I b) {
    return vmlaq_laneq_s32(acc, a, b, lane);
  }
  static I pairs_i(I a, I b) { return vpaddq_s32(a, b); }
  static int32_t sum_of_i(I v) { return vaddvq_s32(v); }
  static F to_float(I v) { return vcvtq_f32_s32(v); }
  /// To the nearest, ties to even.
  static I to_int(F v) { return vcvtnq_s32_f32(v); }

  // Bytes.
  static S load_s8(const int8_t* at) { return vld1q_s8(at); }
  static void store_s8(int8_t* at, S v) { vst1q_s8(at, v); }
  static U load_u8(const uint8_t* at) { return vld1q_u8(at); }
  static U all_u8(uint8_t x) { return vdupq_n_u8(x); }
  static S as_signed(U v) { return vreinterpretq_s8_u8(v); }
  static U as_unsigned(S v) { return vreinterpretq_u8_s8(v); }
  static S bytes_of(uint64_t first, uint64_t second) {
    return vcombine_s8(vcreate_s8(first), vcreate_s8(second));
  }
  template <int n>
  static U shift_right(U v) {
    if constexpr (n == 0) {
      return v;
    } else {
      return vshrq_n_u8(v, n);
    }
  }
  template <int n>
  static U shift_left(U v) {
    return vshlq_n_u8(v, n);
  }
  static U all_of(U v, uint8_t mask) { return vandq_u8(v, all_u8(mask)); }
  static U any_of(U a, U b) { return vorrq_u8(a, b); }
  static S less(U v, int8_t by) { return vsubq_s8(as_signed(v), vdupq_n_s8(by)); }
  static U mul_u8(U a, U b) { return vmulq_u8(a, b); }
  /// 255 where it is so, else 0.
  static U at_least(U v, uint8_t least) { return vcgeq_u8(v, all_u8(least)); }
  /// How many of the two are 255.
  static U count(U a, U b) { return vsubq_u8(all_u8(0), vaddq_u8(a, b)); }
  /// 255 where bit `lane` is set.
  static U spread(uint16_t bits) {
    const U each = vcombine_u8(vdup_n_u8(bits & 255), vdup_n_u8(bits >> 8));
    return vtstq_u8(each, vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U)));
  }
  static S look_up(const int8_t (&table)[16], U at) { return vqtbl1q_s8(vld1q_s8(table), at); }
  /// 16 integers, held to -128 .. 127.
  static S narrow(I a, I b, I c, I d) {
    return vcombine_s8(vqmovn_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))),
                       vqmovn_s16(vcombine_s16(vqmovn_s32(c), vqmovn_s32(d))));
  }
  static void widen(S v, I (&out)[4]) {
    const H low = vmovl_s8(vget_low_s8(v)), high = vmovl_high_s8(v);
    out[0] = vmovl_s16(vget_low_s16(low));
    out[1] = vmovl_high_s16(low);
    out[2] = vmovl_s16(vget_low_s16(high));
    out[3] = vmovl_high_s16(high);
  }
  /// acc's lanes plus sums of four bytes each.
  static I sum_bytes(I acc, S v) { return vpadalq_s16(acc, vpaddlq_s8(v)); }

  // Products of bytes, in 16 bits: of the lower and of the upper eight.
  static H mul_low(S a, S b) { return vmull_s8(vget_low_s8(a), vget_low_s8(b)); }
  static H mul_high(S a, S b) { return vmull_high_s8(a, b); }
  static H mul_low_add(H acc, S a, S b) { return vmlal_s8(acc, vget_low_s8(a), vget_low_s8(b)); }
  static H mul_high_add(H acc, S a, S b) { return vmlal_high_s8(acc, a, b); }
  /// acc's lanes plus sums of two neighbours each.
  static I add_pairs(I acc, H v) { return vpadalq_s16(acc, v); }
  /// Bytes 4 i .. 4 i + 3, four times.
  template <int i>
  static S repeat4(S v) {
    return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(v), i));
  }
};

}  // namespace
}  // namespace bantam::kernels::arm_neon
