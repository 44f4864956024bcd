#pragma once
// Shared by the products with quantised weights; internal linkage as in simd.h.

#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {

[[maybe_unused]] static inline __m256i broadcast4(const void* at) {
  int32_t four;
  memcpy(&four, at, sizeof(four));
  return _mm256_set1_epi32(four);
}

[[maybe_unused]] static inline __m256i load_tile(const ActivationTile& tile, int i) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.q[i]));
}

template <class W>
[[maybe_unused]] static inline const typename W::Block* weight_row(const Product& p, size_t i) {
  const size_t row = p.rows != nullptr ? static_cast<size_t>(p.rows[i]) : i;
  return reinterpret_cast<const typename W::Block*>(p.weights + row * p.row_bytes);
}

/// Writes lanes 0 .. tokens-1 of the R sums to y, where rows are adjacent and tokens y_stride apart.
template <int R>
[[maybe_unused]] static inline void store(const __m256 (&sum)[R], size_t tokens, float* y, size_t y_stride) {
  if constexpr (R == 4) {
    const __m256 a = _mm256_unpacklo_ps(sum[0], sum[1]), b = _mm256_unpackhi_ps(sum[0], sum[1]);
    const __m256 c = _mm256_unpacklo_ps(sum[2], sum[3]), d = _mm256_unpackhi_ps(sum[2], sum[3]);
    const __m256 row[4] = {_mm256_shuffle_ps(a, c, 0x44), _mm256_shuffle_ps(a, c, 0xee),
                           _mm256_shuffle_ps(b, d, 0x44), _mm256_shuffle_ps(b, d, 0xee)};
    for (size_t t = 0; t < tokens; ++t) {
      const __m256 both = row[t % 4];
      _mm_storeu_ps(y + t * y_stride, t < 4 ? _mm256_castps256_ps128(both) : _mm256_extractf128_ps(both, 1));
    }
  } else {
    alignas(32) float lanes[8];
    for (int r = 0; r < R; ++r) {
      _mm256_store_ps(lanes, sum[r]);
      for (size_t t = 0; t < tokens; ++t) y[t * y_stride + r] = lanes[t];
    }
  }
}

/// half_of(0) .. half_of(7), eight binary16, as floats. By way of general registers: a vector load right
/// after eight narrow stores would wait for them all.
template <class F>
[[maybe_unused]] static inline __m256 halves_of(F half_of) {
  const auto four = [&](int r) {
    return static_cast<int64_t>(half_of(r) | uint64_t{half_of(r + 1)} << 16 | uint64_t{half_of(r + 2)} << 32 |
                                uint64_t{half_of(r + 3)} << 48);
  };
  return _mm256_cvtph_ps(_mm_set_epi64x(four(4), four(0)));
}

/// 8 floats to 8 integers, nearest even, as 32 bytes of four such: the packs interleave 128-bit halves, the
/// permutation undoes it.
[[maybe_unused]] static inline __m256i quantise(const float* x, __m256 inverse) {
  __m256i q[4];
  for (int i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

[[maybe_unused]] static inline __m256 magnitudes(const float* x) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  __m256 most = _mm256_andnot_ps(sign, _mm256_loadu_ps(x));
  for (int i = 1; i < 4; ++i) most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(x + 8 * i)));
  return most;
}

}  // namespace bantam::kernels::x86_avx2
