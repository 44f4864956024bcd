// Products with panels (panels.h) of 8 rows: integers add up over a block, then sum = fma(weight scale *
// activation scale, dot, sum), and the same for the minima, as in ref: equal in every bit.
//
// vpmaddubsw takes unsigned times signed and adds two products in 16 bits. What is taken apart is small
// enough for several such sums in 16 bits: 8 of Q4_0 and Q4_K (15 * 127 each product), 4 of Q5_0 (31 * 127),
// 2 of Q6_K (63 * 127). Weights of Q8_0, 128 added, are two such numbers: 16 * upper half + lower half.

#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/panel_tools.h"

namespace bantam::kernels::x86_avx2 {
namespace {

inline __m256i two_sums(__m256i w, __m256i x) { return _mm256_maddubs_epi16(w, x); }
inline __m256i fours(__m256i twos, int by) {
  return _mm256_madd_epi16(twos, _mm256_set1_epi16(static_cast<int16_t>(by)));
}

/// sum = fma(scale * activation scale, dot, sum)
inline __m256 add_block(__m256 scale, float x_scale, __m256i dot, __m256 sum) {
  return _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(x_scale)), _mm256_cvtepi32_ps(dot), sum);
}

struct PanelsOfQ8_0 {
  static constexpr size_t kElements = kBlock, kBytes = 8 * sizeof(BlockQ8_0);
  static constexpr int kTile = 4;
  using Activations = PanelBlock;
  struct Unpacked {
    __m256i low[8], high[8];
    __m256 scale;
  };
  static inline void unpack(const std::byte* at, Unpacked& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m256i w = load32(at + 32 * i);
      out.low[i] = bits<4>(w, 0);
      out.high[i] = bits<4>(w, 4);
    }
    out.scale = halves_at(at + 256);
  }
  template <int T>
  static inline void meet(const Unpacked& w, const PanelBlock* x, __m256 (&sum)[T]) {
    __m256i low[T], high[T];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 4
      for (int u = 0; u < T; ++u) {
        const __m256i four = broadcast4(x[u].q + 4 * i);
        const __m256i a = two_sums(w.low[i], four), b = two_sums(w.high[i], four);
        low[u] = i == 0 ? a : _mm256_add_epi16(low[u], a);
        high[u] = i == 0 ? b : _mm256_add_epi16(high[u], b);
      }
    }
#pragma GCC unroll 4
    for (int u = 0; u < T; ++u) {
      const __m256i dot = _mm256_add_epi32(fours(low[u], 1), fours(high[u], 16));
      sum[u] = add_block(w.scale, x[u].scale, _mm256_add_epi32(dot, _mm256_set1_epi32(x[u].offset)), sum[u]);
    }
  }
};

struct PanelsOfQ4_0 {
  static constexpr size_t kElements = kBlock, kBytes = 8 * sizeof(BlockQ4_0);
  static constexpr int kTile = 4;
  using Activations = PanelBlock;
  struct Unpacked {
    __m256i w[8];
    __m256 scale;
  };
  static inline void unpack(const std::byte* at, Unpacked& out) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i both = load32(at + 32 * i);
      out.w[i] = bits<4>(both, 0);
      out.w[i + 4] = bits<4>(both, 4);
    }
    out.scale = halves_at(at + 128);
  }
  template <int T>
  static inline void meet(const Unpacked& w, const PanelBlock* x, __m256 (&sum)[T]) {
    __m256i dot[T];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 4
      for (int u = 0; u < T; ++u) {
        const __m256i a = two_sums(w.w[i], broadcast4(x[u].q + 4 * i));
        dot[u] = i == 0 ? a : _mm256_add_epi16(dot[u], a);
      }
    }
#pragma GCC unroll 4
    for (int u = 0; u < T; ++u) {
      const __m256i offset = _mm256_srai_epi32(_mm256_set1_epi32(x[u].offset), 4);  // -8 * sum of q
      sum[u] = add_block(w.scale, x[u].scale, _mm256_add_epi32(fours(dot[u], 1), offset), sum[u]);
    }
  }
};

struct PanelsOfQ5_0 {
  static constexpr size_t kElements = kBlock, kBytes = 8 * sizeof(BlockQ5_0);
  static constexpr int kTile = 4;
  using Activations = PanelBlock;
  using Unpacked = PanelsOfQ4_0::Unpacked;
  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m256i high = load32(at + 128);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i both = load32(at + 32 * i);
      out.w[i] = _mm256_or_si256(bits<4>(both, 0), _mm256_slli_epi16(bits<1>(high, i), 4));
      out.w[i + 4] = _mm256_or_si256(bits<4>(both, 4), _mm256_slli_epi16(bits<1>(high, i + 4), 4));
    }
    out.scale = halves_at(at + 160);
  }
  template <int T>
  static inline void meet(const Unpacked& w, const PanelBlock* x, __m256 (&sum)[T]) {
    __m256i dot[T];
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m256i part[T];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 4
        for (int u = 0; u < T; ++u) {
          const __m256i a = two_sums(w.w[4 * half + i], broadcast4(x[u].q + 16 * half + 4 * i));
          part[u] = i == 0 ? a : _mm256_add_epi16(part[u], a);
        }
      }
#pragma GCC unroll 4
      for (int u = 0; u < T; ++u)
        dot[u] = half == 0 ? fours(part[u], 1) : _mm256_add_epi32(dot[u], fours(part[u], 1));
    }
#pragma GCC unroll 4
    for (int u = 0; u < T; ++u) {
      const __m256i offset = _mm256_srai_epi32(_mm256_set1_epi32(x[u].offset), 3);  // -16 * sum of q
      sum[u] = add_block(w.scale, x[u].scale, _mm256_add_epi32(dot[u], offset), sum[u]);
    }
  }
};

/// Byte k of each lane as two equal 16-bit numbers.
inline __m256i doubled(__m256i bytes, int k) {
  const __m256i first = _mm256_broadcastsi128_si256(
      _mm_setr_epi32(static_cast<int>(0x80008000U), static_cast<int>(0x80048004U),
                     static_cast<int>(0x80088008U), static_cast<int>(0x800c800cU)));
  return _mm256_shuffle_epi8(bytes, _mm256_add_epi32(first, _mm256_set1_epi32(k | k << 16)));
}

/// Bytes k and k + 1 of each lane as 16-bit numbers, in the upper byte of each if `upper`.
inline __m256i byte_pair(__m256i bytes, int k, bool upper) {
  const __m256i first = _mm256_broadcastsi128_si256(
      _mm_setr_epi32(static_cast<int>(0x80018000U), static_cast<int>(0x80058004U),
                     static_cast<int>(0x80098008U), static_cast<int>(0x800d800cU)));
  const __m256i pair = _mm256_shuffle_epi8(bytes, _mm256_add_epi32(first, _mm256_set1_epi32(k | k << 16)));
  return upper ? _mm256_slli_epi16(pair, 8) : pair;
}

struct PanelsOfQ4_K {
  static constexpr size_t kElements = kSuperBlock, kBytes = 8 * sizeof(BlockQ4_K);
  static constexpr int kTile = 4;
  using Activations = PanelSuper;
  struct Unpacked {
    struct Group {
      __m256i w[8];
      __m256i scale;
    } groups[8];
    __m256i mins[4];  // of two groups each
    __m256 scale, min;
  };
  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m256i a = load32(at + 1024), b = load32(at + 1056), c = load32(at + 1088);
    const auto with_upper = [](__m256i low, __m256i from) {
      return _mm256_or_si256(low, _mm256_slli_epi16(bits<2>(from, 6), 4));
    };
    const __m256i scales[2] = {bits<6>(a, 0), with_upper(bits<4>(c, 0), a)};
    const __m256i mins[2] = {bits<6>(b, 0), with_upper(bits<4>(c, 4), b)};
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const __m256i both = load32(at + 256 * j + 32 * i);
        out.groups[2 * j].w[i] = bits<4>(both, 0);
        out.groups[2 * j + 1].w[i] = bits<4>(both, 4);
      }
      out.groups[2 * j].scale = doubled(scales[j / 2], j % 2 * 2);
      out.groups[2 * j + 1].scale = doubled(scales[j / 2], j % 2 * 2 + 1);
      out.mins[j] = byte_pair(mins[j / 2], j % 2 * 2, false);
    }
    out.scale = halves_at(at + 1120);
    out.min = halves_at(at + 1136);
  }
  template <int T>
  static inline void meet(const Unpacked& w, const PanelSuper* x, __m256 (&sum)[T]) {
    __m256i dot[T];
    for (auto& d : dot) d = _mm256_setzero_si256();
    for (int g = 0; g < 8; ++g) {
      const Unpacked::Group& group = w.groups[g];
      __m256i part[T];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 4
        for (int u = 0; u < T; ++u) {
          const __m256i a = two_sums(group.w[i], broadcast4(x[u].q + 32 * g + 4 * i));
          part[u] = i == 0 ? a : _mm256_add_epi16(part[u], a);
        }
      }
#pragma GCC unroll 4
      for (int u = 0; u < T; ++u) dot[u] = _mm256_add_epi32(dot[u], _mm256_madd_epi16(part[u], group.scale));
    }
#pragma GCC unroll 4
    for (int u = 0; u < T; ++u) {
      __m256i below = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        below = _mm256_add_epi32(below, _mm256_madd_epi16(w.mins[j], broadcast4(x[u].sums + 2 * j)));
      sum[u] = add_block(w.scale, x[u].scale, dot[u], sum[u]);
      const __m256 min = _mm256_mul_ps(w.min, _mm256_set1_ps(x[u].scale));
      sum[u] = _mm256_fnmadd_ps(min, _mm256_cvtepi32_ps(below), sum[u]);
    }
  }
};

struct PanelsOfQ6_K {
  static constexpr size_t kElements = kSuperBlock, kBytes = 8 * sizeof(BlockQ6_K);
  static constexpr int kTile = 4;
  using Activations = PanelSuper;
  struct Unpacked {
    struct Group {
      __m256i w[4];
      __m256i scale;
    } groups[16];
    __m256i pairs[8];  // the scales of two groups each
    __m256 scale;
  };
  static inline void unpack(const std::byte* at, Unpacked& out) {
    for (int h = 0; h < 2; ++h) {
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const __m256i a = load32(at + 512 * h + 32 * i), b = load32(at + 512 * h + 256 + 32 * i);
        const __m256i high = load32(at + 1024 + 256 * h + 32 * i);
        const auto with_upper = [&](__m256i low, int j) {
          return _mm256_or_si256(low, _mm256_slli_epi16(bits<2>(high, 2 * j), 4));
        };
        const int s = 8 * h + i / 4, k = i % 4;
        out.groups[s].w[k] = with_upper(bits<4>(a, 0), 0);
        out.groups[s + 2].w[k] = with_upper(bits<4>(b, 0), 1);
        out.groups[s + 4].w[k] = with_upper(bits<4>(a, 4), 2);
        out.groups[s + 6].w[k] = with_upper(bits<4>(b, 4), 3);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m256i scales = load32(at + 1536 + 32 * k);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        out.groups[4 * k + j].scale = _mm256_srai_epi16(_mm256_slli_epi16(doubled(scales, j), 8), 8);
      out.pairs[2 * k] = _mm256_srai_epi16(byte_pair(scales, 0, true), 8);
      out.pairs[2 * k + 1] = _mm256_srai_epi16(byte_pair(scales, 2, true), 8);
    }
    out.scale = halves_at(at + 1664);
  }
  template <int T>
  static inline void meet(const Unpacked& w, const PanelSuper* x, __m256 (&sum)[T]) {
    __m256i dot[T];
    for (auto& d : dot) d = _mm256_setzero_si256();
    for (int s = 0; s < 16; ++s) {
      const Unpacked::Group& group = w.groups[s];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
        for (int u = 0; u < T; ++u) {
          const __m256i a = two_sums(group.w[2 * half], broadcast4(x[u].q + 16 * s + 8 * half));
          const __m256i b = two_sums(group.w[2 * half + 1], broadcast4(x[u].q + 16 * s + 8 * half + 4));
          dot[u] = _mm256_add_epi32(dot[u], _mm256_madd_epi16(_mm256_add_epi16(a, b), group.scale));
        }
      }
    }
#pragma GCC unroll 4
    for (int u = 0; u < T; ++u) {
      __m256i below = _mm256_setzero_si256();  // the sum of scales * q, of which 32 times are too much
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j)
        below = _mm256_add_epi32(below, _mm256_madd_epi16(w.pairs[j], broadcast4(x[u].halves + 2 * j)));
      sum[u] = add_block(w.scale, x[u].scale, _mm256_sub_epi32(dot[u], _mm256_slli_epi32(below, 5)), sum[u]);
    }
  }
};

}  // namespace

const PanelKernels* panels(DType type) {
  switch (type) {
    case DType::kQ8_0:
      return &kPanelKernels<PanelsOfQ8_0>;
    case DType::kQ4_0:
      return &kPanelKernels<PanelsOfQ4_0>;
    case DType::kQ5_0:
      return &kPanelKernels<PanelsOfQ5_0>;
    case DType::kQ4_K:
      return &kPanelKernels<PanelsOfQ4_K>;
    case DType::kQ6_K:
      return &kPanelKernels<PanelsOfQ6_K>;
    default:
      return nullptr;
  }
}

/// Each block as pack_blocks makes it.
void pack_panel_blocks(const float* x, size_t blocks, PanelBlock* out, size_t step) {
  for (size_t b = 0; b < blocks; ++b, x += kBlock, out += step) {
    ActivationBlock block;
    pack_blocks(x, 1, &block);
    memcpy(out->q, block.q, sizeof(block.q));
    out->scale = block.scale;
    out->offset = -128 * block.sum;
  }
}

void pack_panel_supers(const float* x, size_t supers, PanelSuper* out, size_t step) {
  constexpr size_t kEach = kSuperBlock / kBlock;
  for (size_t u = 0; u < supers; ++u, x += kSuperBlock, out += step) {
    ActivationBlock blocks[kEach];
    pack_super_blocks(x, kEach, blocks);
    out->scale = blocks[0].scale;
    for (size_t g = 0; g < kEach; ++g) {
      memcpy(out->q + kBlock * g, blocks[g].q, kBlock);
      out->sums[g] = static_cast<int16_t>(blocks[g].sum);
      const __m256i fours_of = fours(_mm256_maddubs_epi16(_mm256_set1_epi8(1), load32(blocks[g].q)), 1);
      const __m256i eights = _mm256_add_epi32(fours_of, _mm256_srli_epi64(fours_of, 32));
      alignas(32) int32_t sums[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(sums), eights);
      for (size_t k = 0; k < 4; ++k) out->offsets[4 * g + k] = -32 * sums[2 * k];
      out->halves[2 * g] = static_cast<int16_t>(sums[0] + sums[2]);
      out->halves[2 * g + 1] = static_cast<int16_t>(sums[4] + sums[6]);
    }
  }
}

uint64_t int8_work(uint64_t rounds) {
  constexpr int kChains = 8;
  __m256i sum[kChains];
  for (auto& s : sum) s = _mm256_setzero_si256();
  __m256i w = _mm256_set1_epi8(3);
  const __m256i x = _mm256_set1_epi8(1);
  for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (auto& s : sum) {
      asm("" : "+x"(w));  // or there would be one product only
      s = _mm256_add_epi16(s, two_sums(w, x));
    }
  }
  for (auto& s : sum) asm volatile("" : : "x"(s));
  return rounds * kChains * 32;
}

}  // namespace bantam::kernels::x86_avx2
