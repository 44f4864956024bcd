#pragma once
// The quantised blocks taken apart 16 elements at a time, in vectors of 128 bits (N: see eight.h), to the
// same numbers as by kernels/ref/quanta.h; the layouts are described in tensor/blocks.h.
//
// Of each type: chunk<k>(block), the elements 16 k .. 16 k + 15. kSpan: elements that share an integer scale
// (kElements: there are none). scales(block, out) and, where it has minima too, mins(block, out): those of
// the block's spans, four to a vector. Without scales a minimum goes with the whole block.

#include <cstring>

#include "kernels/quanta.h"

namespace bantam::kernels::simd128 {

template <int n>
struct Int {
  static constexpr int value = n;
};

/// fn(Int<0>{}) .. fn(Int<n - 1>{}).
template <int n, class Fn>
[[gnu::always_inline]] inline void unroll(Fn fn) {
  if constexpr (n > 0) {
    unroll<n - 1>(fn);
    fn(Int<n - 1>{});
  }
}

template <class N>
struct Layouts {
  using U = typename N::U;  // 16 unsigned bytes
  using S = typename N::S;  // signed ones
  using I = typename N::I;  // 4 integers of 32 bits

  template <class B, size_t elements, bool has_min, size_t span = elements>
  struct Layout {
    using Block = B;
    static constexpr size_t kElements = elements, kSpan = span;
    static constexpr bool kHasMin = has_min, kScaled = span < elements;
    static constexpr int kChunks = elements / 16, kScaleVectors = kScaled ? elements / span / 4 : 1;
  };
  static constexpr size_t kSmall = tensor::kBlock, kSuper = tensor::kSuperBlock;

  /// `width` bits from bit `from` of every byte.
  template <int from, int width>
  static U bits(U bytes) {
    if constexpr (from + width == 8) return N::template shift_right<from>(bytes);
    return N::all_of(N::template shift_right<from>(bytes), (1 << width) - 1);
  }
  /// Chunk k of 32 four-bit numbers.
  template <int k>
  static U nibbles(const uint8_t (&q)[16]) {
    return bits<4 * k, 4>(N::load_u8(q));
  }
  /// 16 where bit 16 k + lane is set.
  template <int k>
  static U fifth_bits(const uint8_t (&high)[4]) {
    uint16_t these;
    memcpy(&these, high + 2 * k, sizeof(these));
    return N::all_of(N::spread(these), 16);
  }
  /// Chunk k of 256 two-bit numbers as Q2_K, Q3_K and TQ2_0 lay them out.
  template <int k>
  static U two_bits(const uint8_t (&q)[2][32]) {
    return bits<k % 8 / 2 * 2, 2>(N::load_u8(q[k / 8] + k % 2 * 16));
  }
  /// Chunk k of 256 four-bit numbers as Q4_K and Q5_K lay them out.
  template <int k>
  static U super_nibbles(const uint8_t (&q)[4][32]) {
    return bits<k % 4 / 2 * 4, 4>(N::load_u8(q[k / 4] + k % 2 * 16));
  }

  /// Bytes 0 .. 4 * vectors - 1 as integers.
  template <int vectors>
  static void widen(S bytes, I (&out)[vectors]) {
    I all[4];
    N::widen(bytes, all);
    for (int i = 0; i < vectors; ++i) out[i] = all[i];
  }
  /// The six-bit scales (where = 0) or minima (4) of Q4_K and Q5_K.
  template <int where>
  static void six_bits(const uint8_t (&from)[12], I (&out)[2]) {
    uint32_t these, rest;
    memcpy(&these, from + where, 4);
    memcpy(&rest, from + 8, 4);
    const uint64_t second = (rest >> where & 0x0f0f0f0fU) | (these >> 2 & 0x30303030U);
    widen(N::bytes_of((these & 0x3f3f3f3fU) | second << 32, 0), out);
  }

  struct Q8_0 : Layout<tensor::BlockQ8_0, kSmall, false> {
    template <int k>
    static S chunk(const tensor::BlockQ8_0& block) {
      return N::load_s8(block.q + 16 * k);
    }
  };

  struct Q4_0 : Layout<tensor::BlockQ4_0, kSmall, false> {
    template <int k>
    static S chunk(const tensor::BlockQ4_0& block) {
      return N::less(nibbles<k>(block.q), 8);
    }
  };

  struct Q4_1 : Layout<tensor::BlockQ4_1, kSmall, true> {
    template <int k>
    static S chunk(const tensor::BlockQ4_1& block) {
      return N::as_signed(nibbles<k>(block.q));
    }
  };

  struct Q5_0 : Layout<tensor::BlockQ5_0, kSmall, false> {
    template <int k>
    static S chunk(const tensor::BlockQ5_0& block) {
      return N::less(N::any_of(nibbles<k>(block.q), fifth_bits<k>(block.high)), 16);
    }
  };

  struct Q5_1 : Layout<tensor::BlockQ5_1, kSmall, true> {
    template <int k>
    static S chunk(const tensor::BlockQ5_1& block) {
      return N::as_signed(N::any_of(nibbles<k>(block.q), fifth_bits<k>(block.high)));
    }
  };

  struct IQ4_NL : Layout<tensor::BlockIQ4_NL, kSmall, false> {
    template <int k>
    static S chunk(const tensor::BlockIQ4_NL& block) {
      return N::look_up(tensor::kIq4Values, nibbles<k>(block.q));
    }
  };

  struct Q2_K : Layout<tensor::BlockQ2_K, kSuper, true, 16> {
    template <int k>
    static S chunk(const tensor::BlockQ2_K& block) {
      return N::as_signed(two_bits<k>(block.q));
    }
    static void scales(const tensor::BlockQ2_K& block, I (&out)[4]) {
      N::widen(N::as_signed(bits<0, 4>(N::load_u8(block.scales))), out);
    }
    static void mins(const tensor::BlockQ2_K& block, I (&out)[4]) {
      N::widen(N::as_signed(bits<4, 4>(N::load_u8(block.scales))), out);
    }
  };

  struct Q3_K : Layout<tensor::BlockQ3_K, kSuper, false, 16> {
    template <int k>
    static S chunk(const tensor::BlockQ3_K& block) {
      const U third = N::template shift_left<2>(bits<k / 2, 1>(N::load_u8(block.high + k % 2 * 16)));
      return N::less(N::any_of(two_bits<k>(block.q), third), 4);
    }
    static void scales(const tensor::BlockQ3_K& block, I (&out)[4]) {
      uint64_t low;
      uint32_t upper;
      memcpy(&low, block.scales, 8);
      memcpy(&upper, block.scales + 8, 4);
      const auto two = [&](int k) { return uint64_t{(upper >> (2 * k) & 0x03030303U) << 4}; };
      constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0fU;
      const uint64_t first = (low & kLow) | two(0) | two(1) << 32,
                     second = (low >> 4 & kLow) | two(2) | two(3) << 32;
      N::widen(N::less(N::as_unsigned(N::bytes_of(first, second)), 32), out);
    }
  };

  struct Q4_K : Layout<tensor::BlockQ4_K, kSuper, true, 32> {
    template <int k>
    static S chunk(const tensor::BlockQ4_K& block) {
      return N::as_signed(super_nibbles<k>(block.q));
    }
    static void scales(const tensor::BlockQ4_K& block, I (&out)[2]) { six_bits<0>(block.scales, out); }
    static void mins(const tensor::BlockQ4_K& block, I (&out)[2]) { six_bits<4>(block.scales, out); }
  };

  struct Q5_K : Layout<tensor::BlockQ5_K, kSuper, true, 32> {
    template <int k>
    static S chunk(const tensor::BlockQ5_K& block) {
      const U fifth = N::template shift_left<4>(bits<k / 2, 1>(N::load_u8(block.high + k % 2 * 16)));
      return N::as_signed(N::any_of(super_nibbles<k>(block.q), fifth));
    }
    static void scales(const tensor::BlockQ5_K& block, I (&out)[2]) { six_bits<0>(block.scales, out); }
    static void mins(const tensor::BlockQ5_K& block, I (&out)[2]) { six_bits<4>(block.scales, out); }
  };

  struct Q6_K : Layout<tensor::BlockQ6_K, kSuper, false, 16> {
    template <int k>
    static S chunk(const tensor::BlockQ6_K& block) {
      constexpr int half = k / 8, j = k % 8 / 2, from = k % 2 * 16;
      const U low = bits<j / 2 * 4, 4>(N::load_u8(block.q[half] + j % 2 * 32 + from));
      const U upper = N::template shift_left<4>(bits<2 * j, 2>(N::load_u8(block.high[half] + from)));
      return N::less(N::any_of(low, upper), 32);
    }
    static void scales(const tensor::BlockQ6_K& block, I (&out)[4]) {
      N::widen(N::load_s8(block.scales), out);
    }
  };

  struct IQ4_XS : Layout<tensor::BlockIQ4_XS, kSuper, false, 32> {
    template <int k>
    static S chunk(const tensor::BlockIQ4_XS& block) {
      return N::look_up(tensor::kIq4Values, nibbles<k % 2>(block.q[k / 2]));
    }
    static void scales(const tensor::BlockIQ4_XS& block, I (&out)[2]) {
      uint32_t four_bits;
      memcpy(&four_bits, block.scales_low, 4);
      uint64_t low = four_bits, upper = block.scales_high;  // spread to a byte each
      low = (low | low << 16) & 0x0000ffff0000ffffU;
      low = (low | low << 8) & 0x00ff00ff00ff00ffU;
      low = (low | low << 4) & 0x0f0f0f0f0f0f0f0fU;
      upper = (upper | upper << 24) & 0x000000ff000000ffU;
      upper = (upper | upper << 12) & 0x000f000f000f000fU;
      upper = (upper | upper << 6) & 0x0303030303030303U;
      widen(N::less(N::as_unsigned(N::bytes_of(low | upper << 4, 0)), 32), out);
    }
  };

  struct TQ1_0 : Layout<tensor::BlockTQ1_0, kSuper, false> {
    /// The trits of these fractions, less one: 3 * byte / 256 is 1 from 86 and 2 from 171 on.
    static S trits(U bytes) { return N::less(N::count(N::at_least(bytes, 86), N::at_least(bytes, 171)), 1); }

    template <int k>
    static S chunk(const tensor::BlockTQ1_0& block) {
      constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};
      if constexpr (k < 10) {
        return trits(N::mul_u8(N::load_u8(block.q + k % 2 * 16), N::all_u8(kPowers[k / 2])));
      } else if constexpr (k < 15) {
        return trits(N::mul_u8(N::load_u8(block.q + 32), N::all_u8(kPowers[k - 10])));
      } else {
        static constexpr uint8_t kEach[16] = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
        uint8_t four[16];
        for (int i = 0; i < 16; i += 4) memcpy(four + i, block.high, 4);
        return trits(N::mul_u8(N::load_u8(four), N::load_u8(kEach)));
      }
    }
  };

  struct TQ2_0 : Layout<tensor::BlockTQ2_0, kSuper, false> {
    template <int k>
    static S chunk(const tensor::BlockTQ2_0& block) {
      return N::less(two_bits<k>(block.q), 1);
    }
  };
};

}  // namespace bantam::kernels::simd128
