#include "kernels/attention_tiles.h"
#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/simd.h"
#include "tensor/blocks.h"

namespace bantam::kernels::x86_avx2 {
namespace {

struct Vectors {
  using F = __m256;
  static constexpr size_t kLanes = 8;
  static constexpr int kColumns = 2;  // by six rows: what the registers hold
  static F load(const float* at) { return _mm256_loadu_ps(at); }
  static void store(float* at, F v) { _mm256_storeu_ps(at, v); }
  static F all(float x) { return _mm256_set1_ps(x); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F exp(F x) { return exp_of(x); }
  static F tanh(F x) { return tanh_of(x); }
  static float max_of(F v) { return kernels::x86_avx2::max_of(v); }
  static float sum_of(F v) { return kernels::x86_avx2::sum_of(v); }
  static float first(F v) { return _mm256_cvtss_f32(v); }
  static void transpose(F (&v)[8]) { kernels::x86_avx2::transpose(v); }
  /// v in lanes from .. to - 1, else `other`.
  static F between(F v, int from, int to, float other) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i inside = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lane),
                                               _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
    return _mm256_blendv_ps(_mm256_set1_ps(other), v, _mm256_castsi256_ps(inside));
  }
};

// Rows of keys and values are whole vectors of 8.
struct F32 {
  using Element = float;
  static constexpr size_t kChannels = 1;
  static __m256 load(const float* row, size_t c, size_t) { return _mm256_loadu_ps(row + c); }
};
struct F16 {
  using Element = uint16_t;
  static constexpr size_t kChannels = 1;
  static __m256 load(const uint16_t* row, size_t c, size_t) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + c)));
  }
};
struct Q8_0 {
  using Element = tensor::BlockQ8_0;
  static constexpr size_t kChannels = tensor::kBlock;
  static __m256 load(const tensor::BlockQ8_0* row, size_t c, size_t) {
    const tensor::BlockQ8_0& block = row[c / kChannels];
    const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block.q + c % kChannels));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)), _mm256_set1_ps(_cvtsh_ss(block.scale)));
  }
};

}  // namespace

void attention_f32(const Attention& a) { TiledAttention<Vectors, F32>::run(a); }
void attention_f16(const Attention& a) { TiledAttention<Vectors, F16>::run(a); }
void attention_q8_0(const Attention& a) { TiledAttention<Vectors, Q8_0>::run(a); }

}  // namespace bantam::kernels::x86_avx2
