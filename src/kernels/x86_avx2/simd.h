#pragma once
// Shared by the AVX2 kernels. Everything has internal linkage and nothing of the standard library is
// instantiated: code of these files must never be the copy that the linker keeps for the rest of the program.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/table.h"

namespace bantam::kernels::x86_avx2 {

[[maybe_unused]] static inline float half_at(const uint16_t* at) { return _cvtsh_ss(*at); }

/// Lanes below n (0..8) are set.
[[maybe_unused]] static inline __m256i lane_mask(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/// Lane i is the sum of v[i]'s lanes, in the same order for every i.
[[maybe_unused]] static inline __m256 sums_of(const __m256 (&v)[8]) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

[[maybe_unused]] static inline __m256i sums_of(const __m256i (&v)[8]) {
  const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                          _mm256_permute2x128_si256(low, high, 0x31));
}

/// Lane j of v[i] becomes lane i of v[j].
[[maybe_unused]] static inline void transpose(__m256 (&v)[8]) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    v[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

[[maybe_unused]] static inline float sum_of(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

[[maybe_unused]] static inline float max_of(__m256 v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/// exp(x) with a relative error below 3e-7; 0 below -87.3, exp(88) above 88. exp(x) = 2^n exp(r) with |r| <=
/// ln(2)/2, where the Taylor series to r^7 leaves 6e-9.
[[maybe_unused]] static inline __m256 exp_of(__m256 x) {
  const __m256 tiny = _mm256_cmp_ps(x, _mm256_set1_ps(-87.3F), _CMP_LT_OQ);
  x = _mm256_min_ps(_mm256_set1_ps(88.0F), x);  // this order keeps a NaN
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504F)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln(2) in two parts: the first has few enough bits for n times it to be exact.
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62ep-1F), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.0bfbe8p-15F), r);
  __m256 y = _mm256_set1_ps(1.0F / 5040);
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F / 720));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F / 120));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F / 24));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F / 6));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(0.5F));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0F));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), exponent));
  return _mm256_andnot_ps(tiny, y);
}

/// tanh(x) within 4e-7: 1 - 2 / (exp(2x) + 1), whose rounding is that of 1.
[[maybe_unused]] static inline __m256 tanh_of(__m256 x) {
  const __m256 one = _mm256_set1_ps(1.0F);
  const __m256 e = exp_of(_mm256_add_ps(x, x));
  return _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0F), _mm256_add_ps(e, one)));
}

}  // namespace bantam::kernels::x86_avx2
