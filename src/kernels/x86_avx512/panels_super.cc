// Products with panels (panels.h) of Q4_K and Q6_K: integers add up over the 256 columns of a super-block,
// then sum = fma(weight scale * activation scale, dot, sum), and the same for the minima, as in ref: equal in
// every bit. What vpdpbusd adds up is kept short enough for 16 bits, so that vpdpwssd can multiply it by the
// group's scale: 16 columns of Q4_K (15 * 127 each), 8 of Q6_K (32 * 127).

#include "kernels/x86_avx512/avx512.h"
#include "kernels/x86_avx512/panel_tools.h"

namespace bantam::kernels::x86_avx512 {
namespace {

using tensor::kSuperBlock;

/// In each lane (16 bits and their sign): byte k of the lane, without a sign.
inline __m512i low_byte(__m512i bytes, int k) {
  const __m512i first =
      _mm512_broadcast_i32x4(_mm_setr_epi32(static_cast<int>(0x80808000U), static_cast<int>(0x80808004U),
                                            static_cast<int>(0x80808008U), static_cast<int>(0x8080800cU)));
  return _mm512_shuffle_epi8(bytes, _mm512_add_epi32(first, _mm512_set1_epi32(k)));
}

/// The same with a sign, in the lower 16 bits; the upper ones are 0.
inline __m512i low_signed_byte(__m512i bytes, int k) {
  const __m512i first =
      _mm512_broadcast_i32x4(_mm_setr_epi32(static_cast<int>(0x80800080U), static_cast<int>(0x80800480U),
                                            static_cast<int>(0x80800880U), static_cast<int>(0x80800c80U)));
  const __m512i upper = _mm512_shuffle_epi8(bytes, _mm512_add_epi32(first, _mm512_set1_epi32(k << 8)));
  return _mm512_srai_epi16(upper, 8);
}

/// Bytes k and k + 1 of each lane as 16-bit numbers.
inline __m512i byte_pair(__m512i bytes, int k) {
  const __m512i first =
      _mm512_broadcast_i32x4(_mm_setr_epi32(static_cast<int>(0x80018000U), static_cast<int>(0x80058004U),
                                            static_cast<int>(0x80098008U), static_cast<int>(0x800d800cU)));
  return _mm512_shuffle_epi8(bytes, _mm512_add_epi32(first, _mm512_set1_epi32(k | k << 16)));
}

struct Q4_K {
  static constexpr size_t kBytes = 16 * sizeof(tensor::BlockQ4_K);
  struct Unpacked {
    struct Group {
      __m512i w[8];
      __m512i scale;
    } groups[8];
    __m512i mins[4];  // of two groups each
    __m512 scale, min;
  };

  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m512i nibble = bytes_of(15);
    const __m512i a = load64(at + 2048), b = load64(at + 2112), c = load64(at + 2176);
    const __m512i six = bytes_of(0x3f), two = bytes_of(0x30);
    const __m512i scales[2] = {_mm512_and_si512(a, six),
                               pick(_mm512_and_si512(c, nibble), _mm512_srli_epi16(a, 2), two)};
    const __m512i mins[2] = {_mm512_and_si512(b, six), pick(_mm512_and_si512(_mm512_srli_epi16(c, 4), nibble),
                                                            _mm512_srli_epi16(b, 2), two)};
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const __m512i both = load64(at + 512 * j + 64 * i);
        out.groups[2 * j].w[i] = _mm512_and_si512(both, nibble);
        out.groups[2 * j + 1].w[i] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
      }
      out.groups[2 * j].scale = low_byte(scales[j / 2], j % 2 * 2);
      out.groups[2 * j + 1].scale = low_byte(scales[j / 2], j % 2 * 2 + 1);
      out.mins[j] = byte_pair(mins[j / 2], j % 2 * 2);
    }
    out.scale = halves(at + 2240);
    out.min = halves(at + 2272);
  }

  /// Adds one super-block's products with T rows of activations to sum.
  template <int T>
  static inline void meet(const Unpacked& w, const PanelSuper* x, __m512 (&sum)[T]) {
    __m512i dot[T];
    for (auto& d : dot) d = _mm512_setzero_si512();
    for (int g = 0; g < 8; ++g) {
      const Unpacked::Group& group = w.groups[g];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m512i part[T];
        for (auto& s : part) s = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int i = 4 * half; i < 4 * half + 4; ++i) {
          const __m512i wi = group.w[i];
#pragma GCC unroll 12
          for (int u = 0; u < T; ++u)
            part[u] = _mm512_dpbusd_epi32(part[u], wi, every(x[u].q + 32 * g + 4 * i));
        }
#pragma GCC unroll 12
        for (int u = 0; u < T; ++u) dot[u] = _mm512_dpwssd_epi32(dot[u], part[u], group.scale);
      }
    }
#pragma GCC unroll 12
    for (int u = 0; u < T; ++u) {
      __m512i below = _mm512_setzero_si512();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) below = _mm512_dpwssd_epi32(below, w.mins[j], every(x[u].sums + 2 * j));
      const __m512 scale = _mm512_set1_ps(x[u].scale);
      sum[u] = _mm512_fmadd_ps(_mm512_mul_ps(w.scale, scale), _mm512_cvtepi32_ps(dot[u]), sum[u]);
      sum[u] = _mm512_fnmadd_ps(_mm512_mul_ps(w.min, scale), _mm512_cvtepi32_ps(below), sum[u]);
    }
  }
};

struct Q6_K {
  static constexpr size_t kBytes = 16 * sizeof(tensor::BlockQ6_K);
  struct Unpacked {
    struct Group {
      __m512i w[4];
      __m512i scale;
    } groups[16];
    __m512 scale;
  };

  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m512i upper = bytes_of(0x30), six = bytes_of(0x3f);
    for (int h = 0; h < 2; ++h) {
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const __m512i a = load64(at + 1024 * h + 64 * i), b = load64(at + 1024 * h + 512 + 64 * i);
        const __m512i high = load64(at + 2048 + 512 * h + 64 * i);
        const __m512i four[4] = {pick(a, _mm512_slli_epi16(high, 4), upper),
                                 pick(b, _mm512_slli_epi16(high, 2), upper),
                                 pick(_mm512_srli_epi16(a, 4), high, upper),
                                 pick(_mm512_srli_epi16(b, 4), _mm512_srli_epi16(high, 2), upper)};
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j)
          out.groups[8 * h + 2 * j + i / 4].w[i % 4] = _mm512_and_si512(four[j], six);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m512i scales = load64(at + 3072 + 64 * k);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) out.groups[4 * k + j].scale = low_signed_byte(scales, j);
    }
    out.scale = halves(at + 3328);
  }

  template <int T>
  static inline void meet(const Unpacked& w, const PanelSuper* x, __m512 (&sum)[T]) {
    __m512i dot[T];
    for (auto& d : dot) d = _mm512_setzero_si512();
    for (int s = 0; s < 16; ++s) {
      const Unpacked::Group& group = w.groups[s];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m512i part[T];
#pragma GCC unroll 12
        for (int u = 0; u < T; ++u) part[u] = _mm512_set1_epi32(x[u].offsets[2 * s + half]);
#pragma GCC unroll 2
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          const __m512i wi = group.w[i];
#pragma GCC unroll 12
          for (int u = 0; u < T; ++u)
            part[u] = _mm512_dpbusd_epi32(part[u], wi, every(x[u].q + 16 * s + 4 * i));
        }
#pragma GCC unroll 12
        for (int u = 0; u < T; ++u) dot[u] = _mm512_dpwssd_epi32(dot[u], part[u], group.scale);
      }
    }
#pragma GCC unroll 12
    for (int u = 0; u < T; ++u) {
      const __m512 both = _mm512_mul_ps(w.scale, _mm512_set1_ps(x[u].scale));
      sum[u] = _mm512_fmadd_ps(both, _mm512_cvtepi32_ps(dot[u]), sum[u]);
    }
  }
};

template <class W>
void single(const PanelProduct& p, size_t panel) {
  const std::byte* at = p.panels + panel * p.panel_bytes;
  const auto* x = static_cast<const PanelSuper*>(p.x);
  __m512 sum[1] = {_mm512_setzero_ps()};
  for (size_t u = 0; u < p.columns / kSuperBlock; ++u, at += W::kBytes, ++x) {
    prefetch_ahead<W::kBytes>(at);
    typename W::Unpacked block;
    W::unpack(at, block);
    W::template meet<1>(block, x, sum);
  }
  store_rows(p, panel, 0, sum[0]);
}

template <class W, int T>
void tile(const PanelProduct& p, const typename W::Unpacked* w, size_t panel, size_t t) {
  const size_t supers = p.columns / kSuperBlock;
  const PanelSuper* x = static_cast<const PanelSuper*>(p.x) + t * supers;
  __m512 sum[T];
  for (auto& s : sum) s = _mm512_setzero_ps();
  for (size_t u = 0; u < supers; ++u, x += T) {
    W::template meet<T>(w[u], x, sum);
    // The sums wait in memory: the registers are needed for what adds up within the block.
    if (T > 8) asm volatile("" : "+m"(sum));
  }
#pragma GCC unroll 12
  for (int u = 0; u < T; ++u) store_rows(p, panel, t + u, sum[u]);
}

template <class W>
void multiply(const PanelProduct& p) {
  if (p.tokens == 1) {
    for (size_t panel = p.begin; panel < p.end; ++panel) single<W>(p, panel);
    return;
  }
  const size_t supers = p.columns / kSuperBlock;
  const size_t at_once = panels_at_once(p, supers * sizeof(typename W::Unpacked));
  auto* scratch = reinterpret_cast<typename W::Unpacked*>(p.scratch);
  for (size_t begin = p.begin; begin < p.end; begin += at_once) {
    const size_t end = p.end - begin < at_once ? p.end : begin + at_once;
    auto* to = scratch;
    for (size_t panel = begin; panel < end; ++panel) {
      const std::byte* at = p.panels + panel * p.panel_bytes;
      for (size_t u = 0; u < supers; ++u, at += W::kBytes) W::unpack(at, *to++);
    }
    for_groups(p.tokens, [&](auto rows, size_t t) {
      for (size_t panel = begin; panel < end; ++panel)
        tile<W, rows.value>(p, scratch + (panel - begin) * supers, panel, t);
    });
  }
}

template <class W>
size_t scratch_bytes(size_t columns) {
  return columns / kSuperBlock * sizeof(typename W::Unpacked);
}

}  // namespace

const PanelKernels* super_panels(tensor::DType type) {
  static constexpr PanelKernels kQ4_K{multiply<Q4_K>, scratch_bytes<Q4_K>},
      kQ6_K{multiply<Q6_K>, scratch_bytes<Q6_K>};
  switch (type) {
    case tensor::DType::kQ4_K:
      return &kQ4_K;
    case tensor::DType::kQ6_K:
      return &kQ6_K;
    default:
      return nullptr;
  }
}

/// scale = 1 / (127 / amax), as Table::pack_super_blocks.
void pack_panel_supers(const float* x, size_t supers, PanelSuper* out, size_t step) {
  for (size_t u = 0; u < supers; ++u, x += kSuperBlock, out += step) {
    __m512 most = _mm512_abs_ps(_mm512_loadu_ps(x));
    for (size_t c = 16; c < kSuperBlock; c += 16)
      most = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + c)), most);
    float inverse = 127.0F / _mm512_reduce_max_ps(most);
    out->scale = 0;
    if (inverse <= kLargestInverse) {
      out->scale = 1.0F / inverse;
    } else {
      inverse = 0;
    }
    const __m512 by = _mm512_set1_ps(inverse);
    for (size_t g = 0; g < kSuperBlock / 32; ++g) {
      int8_t* q = out->q + 32 * g;
      const __m512 first = _mm512_loadu_ps(x + 32 * g), second = _mm512_loadu_ps(x + 32 * g + 16);
      out->sums[g] = static_cast<int16_t>(put_bytes(first, second, by, q));
      // Sums of fours, then of eights, in the even lanes.
      const __m256i ones = _mm256_set1_epi16(1),
                    bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q));
      const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), ones);
      const __m256i eights = _mm256_add_epi32(fours, _mm256_srli_epi64(fours, 32));
      alignas(32) int32_t sums[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(sums), eights);
      for (size_t k = 0; k < 4; ++k) out->offsets[4 * g + k] = -32 * sums[2 * k];
      out->halves[2 * g] = static_cast<int16_t>(sums[0] + sums[2]);
      out->halves[2 * g + 1] = static_cast<int16_t>(sums[4] + sums[6]);
    }
  }
}

}  // namespace bantam::kernels::x86_avx512
