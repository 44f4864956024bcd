#pragma once
// Shared by the AVX-512 kernels. Everything has internal linkage and nothing of the standard library is
// instantiated: code of these files must never be the copy that the linker keeps for the rest of the program.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace bantam::kernels::x86_avx512 {

[[maybe_unused]] static inline __m512i load64(const void* at) { return _mm512_loadu_si512(at); }

/// Four bytes in every lane.
[[maybe_unused]] static inline __m512i every(const void* at) {
  int32_t four;
  memcpy(&four, at, sizeof(four));
  return _mm512_set1_epi32(four);
}

/// 16 binary16 as floats.
[[maybe_unused]] static inline __m512 halves(const void* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}

/// (a & ~mask) | (b & mask)
[[maybe_unused]] static inline __m512i pick(__m512i a, __m512i b, __m512i mask) {
  return _mm512_ternarylogic_epi32(a, b, mask, 0xd8);
}

[[maybe_unused]] static inline __m512i bytes_of(int value) {
  return _mm512_set1_epi8(static_cast<char>(value));
}

/// exp(x) with a relative error below 3e-7; 0 below -87.3, exp(88) above 88. exp(x) = 2^n exp(r) with |r| <=
/// ln(2)/2, where the Taylor series to r^7 leaves 6e-9.
[[maybe_unused]] static inline __m512 exp_of(__m512 x) {
  const __mmask16 some = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3F), _CMP_NLT_UQ);
  x = _mm512_min_ps(_mm512_set1_ps(88.0F), x);  // this order keeps a NaN
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln(2) in two parts: the first has few enough bits for n times it to be exact.
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62ep-1F), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.0bfbe8p-15F), r);
  __m512 y = _mm512_set1_ps(1.0F / 5040);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F / 720));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F / 120));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F / 24));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F / 6));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.5F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0F));
  const __m512i exponent = _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23);
  return _mm512_castsi512_ps(_mm512_maskz_add_epi32(some, _mm512_castps_si512(y), exponent));
}

/// tanh(x) within 4e-7: 1 - 2 / (exp(2x) + 1), whose rounding is that of 1.
[[maybe_unused]] static inline __m512 tanh_of(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0F);
  const __m512 e = exp_of(_mm512_add_ps(x, x));
  return _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0F), _mm512_add_ps(e, one)));
}

/// Lane j of v[i] becomes lane i of v[j].
[[maybe_unused]] static inline void transpose(__m512 (&v)[16]) {
  __m512 a[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // 4 by 4 within the quarters
    const __m512 p = _mm512_unpacklo_ps(v[i], v[i + 1]), q = _mm512_unpackhi_ps(v[i], v[i + 1]);
    const __m512 r = _mm512_unpacklo_ps(v[i + 2], v[i + 3]), s = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
    a[i] = _mm512_shuffle_ps(p, r, 0x44);
    a[i + 1] = _mm512_shuffle_ps(p, r, 0xee);
    a[i + 2] = _mm512_shuffle_ps(q, s, 0x44);
    a[i + 3] = _mm512_shuffle_ps(q, s, 0xee);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {  // then the quarters themselves
    const __m512 p = _mm512_shuffle_f32x4(a[k], a[k + 4], 0x44),
                 q = _mm512_shuffle_f32x4(a[k], a[k + 4], 0xee);
    const __m512 r = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0x44),
                 s = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0xee);
    v[k] = _mm512_shuffle_f32x4(p, r, 0x88);
    v[k + 4] = _mm512_shuffle_f32x4(p, r, 0xdd);
    v[k + 8] = _mm512_shuffle_f32x4(q, s, 0x88);
    v[k + 12] = _mm512_shuffle_f32x4(q, s, 0xdd);
  }
}

}  // namespace bantam::kernels::x86_avx512
