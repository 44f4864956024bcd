// Attention with a running maximum over tiles of kKeyTile keys. Where tiles begin depends on the query's
// position only, and each query goes through them alone, so a query's result depends on its own keys only.

#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {
namespace {

struct F32 {
  using Element = float;
  static __m256 load(const float* at) { return _mm256_loadu_ps(at); }
};
struct F16 {
  using Element = uint16_t;
  static __m256 load(const uint16_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
};

/// score[j] = q . key j for j < n, minus infinity up to the next multiple of 8.
template <class E>
void score_tile(const float* q, const typename E::Element* keys, size_t stride, size_t n, float* score) {
  for (size_t j = 0; j < n; j += 8) {
    const typename E::Element* key[8];
    for (size_t k = 0; k < 8; ++k) key[k] = keys + (j + k < n ? j + k : n - 1) * stride;
    __m256 sum[8];
    for (auto& s : sum) s = _mm256_setzero_ps();
    for (size_t c = 0; c < stride; c += 8) {
      const __m256 qc = _mm256_loadu_ps(q + c);
      for (int k = 0; k < 8; ++k) sum[k] = _mm256_fmadd_ps(qc, E::load(key[k] + c), sum[k]);
    }
    const __m256 valid = _mm256_castsi256_ps(lane_mask(n - j < 8 ? n - j : 8));
    _mm256_storeu_ps(score + j, _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), sums_of(sum), valid));
  }
}

/// score = cap * tanh(score / cap), up to the next multiple of 8; minus infinity stays.
void cap_scores(float* score, size_t n, float cap) {
  const __m256 limit = _mm256_set1_ps(cap), inverse = _mm256_set1_ps(1.0F / cap);
  for (size_t j = 0; j < n; j += 8) {
    const __m256 capped = _mm256_mul_ps(limit, tanh_of(_mm256_mul_ps(_mm256_load_ps(score + j), inverse)));
    const __m256 valid = _mm256_castsi256_ps(lane_mask(n - j < 8 ? n - j : 8));
    _mm256_store_ps(score + j, _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), capped, valid));
  }
}

/// out[c] = out[c] * keep + sum over j of weight[j] * value j[c], for V vectors of 8 channels.
template <class E, int V>
void mix(const typename E::Element* values, size_t stride, size_t n, const float* weight, __m256 keep,
         float* out) {
  __m256 sum[V];
  for (int v = 0; v < V; ++v) sum[v] = _mm256_mul_ps(_mm256_loadu_ps(out + 8 * v), keep);
  for (size_t j = 0; j < n; ++j) {
    const __m256 w = _mm256_broadcast_ss(weight + j);
    for (int v = 0; v < V; ++v) sum[v] = _mm256_fmadd_ps(w, E::load(values + j * stride + 8 * v), sum[v]);
  }
  for (int v = 0; v < V; ++v) _mm256_storeu_ps(out + 8 * v, sum[v]);
}

template <class E>
void mix_tile(const typename E::Element* values, size_t stride, size_t n, const float* weight, __m256 keep,
              float* out) {
  size_t c = 0;
  for (; c + 64 <= stride; c += 64) mix<E, 8>(values + c, stride, n, weight, keep, out + c);
  for (; c + 32 <= stride; c += 32) mix<E, 4>(values + c, stride, n, weight, keep, out + c);
  for (; c < stride; c += 8) mix<E, 1>(values + c, stride, n, weight, keep, out + c);
}

template <class E>
void one_query(const Attention& a, const float* q, float* out, size_t first, size_t seen) {
  const auto* keys = static_cast<const typename E::Element*>(a.keys);
  const auto* values = static_cast<const typename E::Element*>(a.values);
  float largest = -__builtin_inff();
  __m256 total = _mm256_setzero_ps();
  for (size_t j = first; j < seen; j += kKeyTile) {
    const size_t n = seen - j < kKeyTile ? seen - j : kKeyTile;
    alignas(32) float score[kKeyTile];
    score_tile<E>(q, keys + j * a.kv_stride, a.kv_stride, n, score);
    if (a.softcap > 0) cap_scores(score, n, a.softcap);
    __m256 most = _mm256_load_ps(score);
    for (size_t k = 8; k < n; k += 8) most = _mm256_max_ps(most, _mm256_load_ps(score + k));
    const float tile_most = max_of(most), next = tile_most > largest ? tile_most : largest;
    const __m256 keep = exp_of(_mm256_set1_ps(largest - next)), base = _mm256_set1_ps(next);
    total = _mm256_mul_ps(total, keep);
    for (size_t k = 0; k < n; k += 8) {
      const __m256 e = exp_of(_mm256_sub_ps(_mm256_load_ps(score + k), base));
      _mm256_store_ps(score + k, e);
      total = _mm256_add_ps(total, e);
    }
    mix_tile<E>(values + j * a.kv_stride, a.kv_stride, n, score, keep, out);
    largest = next;
  }
  const __m256 share = _mm256_set1_ps(1.0F / sum_of(total));
  for (size_t c = 0; c < a.kv_stride; c += 8)
    _mm256_store_ps(out + c, _mm256_mul_ps(_mm256_load_ps(out + c), share));
}

template <class E>
void attention(const Attention& a) {
  alignas(32) float q[kMaxHeadDim], out[kMaxHeadDim];  // padded with zeros to kv_stride
  for (size_t t = 0; t < a.queries; ++t) {
    for (size_t c = 0; c < a.kv_stride; ++c) {
      q[c] = c < a.head_dim ? a.q[t * a.q_stride + c] * a.scale : 0.0F;
      out[c] = 0.0F;
    }
    const size_t end = size_t{a.positions[t]} + 1;
    one_query<E>(a, q, out, a.window > 0 && end > a.window ? end - a.window : 0, end);
    memcpy(a.out + t * a.out_stride, out, a.head_dim * sizeof(float));
  }
}

}  // namespace

void attention_f32(const Attention& a) { attention<F32>(a); }
void attention_f16(const Attention& a) { attention<F16>(a); }

}  // namespace bantam::kernels::x86_avx2
