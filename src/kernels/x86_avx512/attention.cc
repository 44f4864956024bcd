#include "kernels/attention_tiles.h"
#include "kernels/x86_avx512/avx512.h"
#include "kernels/x86_avx512/simd.h"
#include "tensor/blocks.h"

namespace bantam::kernels::x86_avx512 {
namespace {

struct Vectors {
  using F = __m512;
  static constexpr size_t kLanes = 16;
  static constexpr int kColumns = 4;
  static F load(const float* at) { return _mm512_loadu_ps(at); }
  static void store(float* at, F v) { _mm512_storeu_ps(at, v); }
  static F all(float x) { return _mm512_set1_ps(x); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F exp(F x) { return exp_of(x); }
  static F tanh(F x) { return tanh_of(x); }
  static float max_of(F v) { return _mm512_reduce_max_ps(v); }
  static float sum_of(F v) { return _mm512_reduce_add_ps(v); }
  static float first(F v) { return _mm512_cvtss_f32(v); }
  static void transpose(F (&v)[16]) { kernels::x86_avx512::transpose(v); }
  /// v in lanes from .. to - 1, else `other`.
  static F between(F v, int from, int to, float other) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 inside = _mm512_cmple_epi32_mask(_mm512_set1_epi32(from), lane) &
                             _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(to), lane);
    return _mm512_mask_blend_ps(inside, _mm512_set1_ps(other), v);
  }
};

__mmask16 first_lanes(size_t n) { return static_cast<__mmask16>((1U << n) - 1); }

struct F32 {
  using Element = float;
  static constexpr size_t kChannels = 1;
  static __m512 load(const float* row, size_t c, size_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), row + c); }
};
struct F16 {
  using Element = uint16_t;
  static constexpr size_t kChannels = 1;
  static __m512 load(const uint16_t* row, size_t c, size_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), row + c));
  }
};
struct Q8_0 {
  using Element = tensor::BlockQ8_0;
  static constexpr size_t kChannels = tensor::kBlock;
  static __m512 load(const tensor::BlockQ8_0* row, size_t c, size_t) {
    const tensor::BlockQ8_0& block = row[c / kChannels];
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.q + c % kChannels));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), _mm512_set1_ps(_cvtsh_ss(block.scale)));
  }
};

}  // namespace

void attention_f32(const Attention& a) { TiledAttention<Vectors, F32>::run(a); }
void attention_f16(const Attention& a) { TiledAttention<Vectors, F16>::run(a); }
void attention_q8_0(const Attention& a) { TiledAttention<Vectors, Q8_0>::run(a); }

}  // namespace bantam::kernels::x86_avx512
