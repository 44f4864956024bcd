#pragma once
// The quantised blocks taken apart with AVX2, to the same Quanta as by kernels/ref/quanta.h; the layouts are
// described in tensor/blocks.h. Blocks of 32 elements leave scales and mins unset: all are 1, or -1 where the
// block has a minimum.

#include "kernels/quanta.h"
#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {

using namespace tensor;

[[maybe_unused]] static inline __m256i load32(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}
[[maybe_unused]] static inline __m128i load16(const void* at) {
  return _mm_loadu_si128(static_cast<const __m128i*>(at));
}
[[maybe_unused]] static inline void put32(int8_t* at, __m256i bytes) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), bytes);
}
[[maybe_unused]] static inline void put_scales(int16_t* at, __m256i words) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), words);
}

/// Bits shift .. shift + width - 1 of every byte. REQUIRES: shift + width <= 8.
template <int width>
[[maybe_unused]] static inline __m256i bits(__m256i bytes, int shift) {
  return _mm256_and_si256(_mm256_srl_epi16(bytes, _mm_cvtsi32_si128(shift)),
                          _mm256_set1_epi8((1 << width) - 1));
}

/// 16 bytes' low halves, then their high ones.
[[maybe_unused]] static inline __m256i nibbles(const uint8_t* q) {
  const __m128i both = load16(q);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
}

[[maybe_unused]] static inline __m256i iq4_values(__m256i nibbles) {
  const __m128i values = load16(kIq4Values);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), nibbles);
}

/// 16 in byte c where bit c of the 32 is set.
[[maybe_unused]] static inline __m256i fifth_bits(const uint8_t (&high)[4]) {
  int32_t all;
  memcpy(&all, high, sizeof(all));
  const __m256i where = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201U));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(all), where), bit);
  return _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8(16));
}

/// Eight bytes as 16-bit numbers, each twice.
[[maybe_unused]] static inline __m256i twice(__m128i bytes) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}

[[maybe_unused]] static inline void six_bit_pairs(const uint8_t (&from)[12], Quanta& out) {
  uint32_t a, b, c;
  memcpy(&a, from, 4);
  memcpy(&b, from + 4, 4);
  memcpy(&c, from + 8, 4);
  const uint64_t scales = (a & 0x3f3f3f3fU) | uint64_t{(c & 0x0f0f0f0fU) | (a >> 2 & 0x30303030U)} << 32;
  const uint64_t mins = (b & 0x3f3f3f3fU) | uint64_t{(c >> 4 & 0x0f0f0f0fU) | (b >> 2 & 0x30303030U)} << 32;
  put_scales(out.scales, twice(_mm_cvtsi64_si128(static_cast<int64_t>(scales))));
  put_scales(out.mins, twice(_mm_cvtsi64_si128(static_cast<int64_t>(mins))));
}

/// What the products need to know of a layout. kMin16: minima for each 16 elements, not 32. kSigned: q may be
/// negative. kWide: products of q and an activation fill 16 bits, so that only two can be added in them.
template <class B, size_t elements, bool has_min, bool is_signed, bool wide = false, bool min16 = false>
struct Layout {
  using Block = B;
  static constexpr size_t kElements = elements;
  static constexpr bool kHasMin = has_min, kSigned = is_signed, kWide = wide, kMin16 = min16;
};

struct Q4_1 : Layout<BlockQ4_1, kBlock, true, false> {
  static void unpack(const Block& block, Quanta& out) { put32(out.q, nibbles(block.q)); }
};

struct Q5_0 : Layout<BlockQ5_0, kBlock, false, true> {
  static void unpack(const Block& block, Quanta& out) {
    const __m256i n = _mm256_or_si256(nibbles(block.q), fifth_bits(block.high));
    put32(out.q, _mm256_sub_epi8(n, _mm256_set1_epi8(16)));
  }
};

struct Q5_1 : Layout<BlockQ5_1, kBlock, true, false> {
  static void unpack(const Block& block, Quanta& out) {
    put32(out.q, _mm256_or_si256(nibbles(block.q), fifth_bits(block.high)));
  }
};

struct IQ4_NL : Layout<BlockIQ4_NL, kBlock, false, true, true> {
  static void unpack(const Block& block, Quanta& out) { put32(out.q, iq4_values(nibbles(block.q))); }
};

struct Q2_K : Layout<BlockQ2_K, kSuperBlock, true, false, false, true> {
  static void unpack(const Block& block, Quanta& out) {
    for (int h = 0; h < 2; ++h) {
      const __m256i q = load32(block.q[h]);
      for (int j = 0; j < 4; ++j) put32(out.q + 128 * h + 32 * j, bits<2>(q, 2 * j));
    }
    const __m256i both = _mm256_cvtepu8_epi16(load16(block.scales));
    put_scales(out.scales, _mm256_and_si256(both, _mm256_set1_epi16(15)));
    put_scales(out.mins, _mm256_srli_epi16(both, 4));
  }
};

struct Q3_K : Layout<BlockQ3_K, kSuperBlock, false, true> {
  static void unpack(const Block& block, Quanta& out) {
    const __m256i high = load32(block.high);
    for (int h = 0; h < 2; ++h) {
      const __m256i q = load32(block.q[h]);
      for (int j = 0; j < 4; ++j) {
        const __m256i third = _mm256_slli_epi16(bits<1>(high, 4 * h + j), 2);
        const __m256i n = _mm256_or_si256(bits<2>(q, 2 * j), third);
        put32(out.q + 128 * h + 32 * j, _mm256_sub_epi8(n, _mm256_set1_epi8(4)));
      }
    }
    uint64_t low;
    uint32_t upper;
    memcpy(&low, block.scales, 8);
    memcpy(&upper, block.scales + 8, 4);
    const auto two = [&](int k) { return uint64_t{(upper >> (2 * k) & 0x03030303U) << 4}; };
    constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0fU;
    const uint64_t first = (low & kLow) | two(0) | two(1) << 32,
                   second = (low >> 4 & kLow) | two(2) | two(3) << 32;
    const __m128i s = _mm_set_epi64x(static_cast<int64_t>(second), static_cast<int64_t>(first));
    put_scales(out.scales, _mm256_cvtepi8_epi16(_mm_sub_epi8(s, _mm_set1_epi8(32))));
  }
};

struct Q4_K : Layout<BlockQ4_K, kSuperBlock, true, false> {
  static void unpack(const Block& block, Quanta& out) {
    for (int j = 0; j < 4; ++j) {
      const __m256i q = load32(block.q[j]);
      put32(out.q + 64 * j, bits<4>(q, 0));
      put32(out.q + 64 * j + 32, bits<4>(q, 4));
    }
    six_bit_pairs(block.scales, out);
  }
};

struct Q5_K : Layout<BlockQ5_K, kSuperBlock, true, false> {
  static void unpack(const Block& block, Quanta& out) {
    const __m256i high = load32(block.high);
    for (int group = 0; group < 8; ++group) {
      const __m256i low = bits<4>(load32(block.q[group / 2]), group % 2 * 4);
      put32(out.q + 32 * group, _mm256_or_si256(low, _mm256_slli_epi16(bits<1>(high, group), 4)));
    }
    six_bit_pairs(block.scales, out);
  }
};

struct Q6_K : Layout<BlockQ6_K, kSuperBlock, false, true> {
  static void unpack(const Block& block, Quanta& out) {
    for (int h = 0; h < 2; ++h) {
      const __m256i high = load32(block.high[h]);
      for (int j = 0; j < 4; ++j) {
        const __m256i low = bits<4>(load32(block.q[h] + j % 2 * 32), j / 2 * 4);
        const __m256i n = _mm256_or_si256(low, _mm256_slli_epi16(bits<2>(high, 2 * j), 4));
        put32(out.q + 128 * h + 32 * j, _mm256_sub_epi8(n, _mm256_set1_epi8(32)));
      }
    }
    put_scales(out.scales, _mm256_cvtepi8_epi16(load16(block.scales)));
  }
};

struct IQ4_XS : Layout<BlockIQ4_XS, kSuperBlock, false, true, true> {
  static void unpack(const Block& block, Quanta& out) {
    for (int group = 0; group < 8; ++group) {
      put32(out.q + 32 * group, iq4_values(nibbles(block.q[group])));
      const int low = block.scales_low[group / 2] >> (group % 2 * 4) & 15;
      const int upper = block.scales_high >> (2 * group) & 3;
      out.scales[2 * group] = out.scales[2 * group + 1] = static_cast<int16_t>((low | upper << 4) - 32);
    }
  }
};

struct TQ1_0 : Layout<BlockTQ1_0, kSuperBlock, false, true> {
  /// The next trit of every byte, less one: 3 * byte / 256 is 1 from 86 and 2 from 171 on.
  static __m256i trits(__m256i bytes) {
    const auto from = [&](int least) {
      const __m256i limit = _mm256_set1_epi8(static_cast<char>(least));
      return _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, limit), bytes);  // -1 where it is
    };
    return _mm256_sub_epi8(_mm256_sub_epi8(_mm256_set1_epi8(-1), from(86)), from(171));
  }
  static __m256i triple(__m256i bytes) { return _mm256_add_epi8(_mm256_add_epi8(bytes, bytes), bytes); }

  static void unpack(const Block& block, Quanta& out) {
    __m256i first = load32(block.q), second = _mm256_castsi128_si256(load16(block.q + 32));
    int32_t four;
    memcpy(&four, block.high, sizeof(four));
    __m256i last = _mm256_set1_epi32(four);
    for (int t = 0; t < 5; ++t) {
      put32(out.q + 32 * t, trits(first));
      _mm_store_si128(reinterpret_cast<__m128i*>(out.q + 160 + 16 * t),
                      _mm256_castsi256_si128(trits(second)));
      if (t < 4) {
        const int32_t these = _mm256_cvtsi256_si32(trits(last));
        memcpy(out.q + 240 + 4 * t, &these, sizeof(these));
      }
      first = triple(first);
      second = triple(second);
      last = triple(last);
    }
    put_scales(out.scales, _mm256_set1_epi16(1));
  }
};

struct TQ2_0 : Layout<BlockTQ2_0, kSuperBlock, false, true> {
  static void unpack(const Block& block, Quanta& out) {
    for (int h = 0; h < 2; ++h) {
      const __m256i q = load32(block.q[h]);
      for (int j = 0; j < 4; ++j)
        put32(out.q + 128 * h + 32 * j, _mm256_sub_epi8(bits<2>(q, 2 * j), _mm256_set1_epi8(1)));
    }
    put_scales(out.scales, _mm256_set1_epi16(1));
  }
};

}  // namespace bantam::kernels::x86_avx2
