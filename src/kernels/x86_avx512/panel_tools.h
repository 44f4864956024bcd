#pragma once
// Shared by the products with panels; internal linkage as in simd.h.

#include "kernels/panels.h"
#include "kernels/x86_avx512/simd.h"

namespace bantam::kernels::x86_avx512 {

/// Asks for what follows a few blocks later: the machine's own prefetching stops at the ends of pages.
template <size_t bytes>
[[maybe_unused]] static inline void prefetch_ahead(const std::byte* at) {
  constexpr size_t kAhead = 4096;
#pragma GCC unroll 64
  for (size_t line = 0; line < bytes; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(at + kAhead + line), _MM_HINT_T0);
}

/// The sums of 16 rows by row t of the activations.
[[maybe_unused]] static inline void store_rows(const PanelProduct& p, size_t panel, size_t t, __m512 sum) {
  const size_t row = panel * 16, left = p.rows - row;
  float* y = p.y + t * p.y_stride + row;
  if (left >= 16) {
    _mm512_storeu_ps(y, sum);
  } else {
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1U << left) - 1), sum);
  }
}

/// How many panels, `bytes` each when taken apart, are so kept at a time.
[[maybe_unused]] static inline size_t panels_at_once(const PanelProduct& p, size_t bytes) {
  const size_t fit = bytes == 0 ? 1 : p.scratch_bytes / bytes;
  return fit == 0 ? 1 : fit;
}

template <int n>
struct Rows {
  static constexpr int value = n;
};

/// Calls f(Rows<n>, first row) for the groups of activation rows.
template <class F>
[[maybe_unused]] static inline void for_groups(size_t tokens, F f) {
  size_t t = 0;
  for (; t + kGroupRows <= tokens; t += kGroupRows) f(Rows<kGroupRows>{}, t);
  for (; t < tokens; t += group_rows(tokens - t)) {
    switch (group_rows(tokens - t)) {
      case 8:
        f(Rows<8>{}, t);
        break;
      case 4:
        f(Rows<4>{}, t);
        break;
      case 2:
        f(Rows<2>{}, t);
        break;
      default:
        f(Rows<1>{}, t);
    }
  }
}

/// 32 floats times `inverse` to the nearest integers (ties to even) as bytes; returns the sum of the bytes.
[[maybe_unused]] static inline int32_t put_bytes(__m512 first, __m512 second, __m512 inverse, int8_t* q) {
  const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(first, inverse)),
                b = _mm512_cvtps_epi32(_mm512_mul_ps(second, inverse));
  const __m256i bytes = _mm256_set_m128i(_mm512_cvtsepi32_epi8(b), _mm512_cvtsepi32_epi8(a));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  // 128 more than each, as unsigned: sums of eight.
  const __m256i eights = _mm256_sad_epu8(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  const __m128i fours = _mm_add_epi64(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
  return static_cast<int32_t>(_mm_cvtsi128_si64(fours) + _mm_extract_epi64(fours, 1)) - 32 * 128;
}

}  // namespace bantam::kernels::x86_avx512
