// Products with F32 and F16 weights. Each output is eight partial sums, one per lane, over columns 8 apart,
// added at the end in one fixed order; tiles of 4 rows by 2 tokens and of 8 rows by 1 differ only in which
// outputs they hold at once. Eight chains of multiply-adds hide the latency of one (4 cycles, two a cycle).

#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {
namespace {

struct F32 {
  static constexpr size_t kBytes = 4;
  static __m256 load(const std::byte* at) { return _mm256_loadu_ps(reinterpret_cast<const float*>(at)); }
  static __m256 load(const std::byte* at, size_t n) {
    return _mm256_maskload_ps(reinterpret_cast<const float*>(at), lane_mask(n));
  }
};

struct F16 {
  static constexpr size_t kBytes = 2;
  static __m256 load(const std::byte* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  static __m256 load(const std::byte* at, size_t n) {
    alignas(16) std::byte whole[16] = {};
    memcpy(whole, at, n * kBytes);
    return load(whole);
  }
};

const std::byte* weight_row(const Product& p, size_t i) {
  return p.weights + (p.rows != nullptr ? static_cast<size_t>(p.rows[i]) : i) * p.row_bytes;
}

/// Outputs of R rows and T tokens, R * T = 8, as lanes t * R + r.
template <class W, int R, int T>
__m256 tile(const std::byte* const (&w)[R], const float* const (&x)[T], size_t columns) {
  __m256 sum[8];
  for (auto& s : sum) s = _mm256_setzero_ps();
  size_t c = 0;
  for (; c + 8 <= columns; c += 8) {
    __m256 wc[R];
    for (int r = 0; r < R; ++r) wc[r] = W::load(w[r] + c * W::kBytes);
    for (int t = 0; t < T; ++t) {
      const __m256 xc = _mm256_loadu_ps(x[t] + c);
      for (int r = 0; r < R; ++r) sum[t * R + r] = _mm256_fmadd_ps(wc[r], xc, sum[t * R + r]);
    }
  }
  if (c < columns) {
    const __m256i mask = lane_mask(columns - c);
    for (int t = 0; t < T; ++t) {
      const __m256 xc = _mm256_maskload_ps(x[t] + c, mask);
      for (int r = 0; r < R; ++r) {
        sum[t * R + r] = _mm256_fmadd_ps(W::load(w[r] + c * W::kBytes, columns - c), xc, sum[t * R + r]);
      }
    }
  }
  return sums_of(sum);
}

/// Tiles at the lower edge repeat their last row and keep what is wanted of the result.
template <class W, int R, int T>
void row_tiles(const Product& p, size_t t) {
  const float* x[T];
  for (int u = 0; u < T; ++u) x[u] = p.x + (t + u) * p.x_stride;
  for (size_t i = p.begin; i < p.end; i += R) {
    const std::byte* w[R];
    for (int r = 0; r < R; ++r) w[r] = weight_row(p, i + r < p.end ? i + r : p.end - 1);
    alignas(32) float out[8];
    _mm256_store_ps(out, tile<W, R, T>(w, x, p.columns));
    const size_t kept = p.end - i < R ? p.end - i : R;
    for (int u = 0; u < T; ++u)
      memcpy(p.y + (t + u) * p.y_stride + i - p.begin, out + u * R, kept * sizeof(float));
  }
}

template <class W>
void matmul(const Product& p) {
  size_t t = 0;
  for (; t + 2 <= p.tokens; t += 2) row_tiles<W, 4, 2>(p, t);
  if (t < p.tokens) row_tiles<W, 8, 1>(p, t);
}

}  // namespace

void matmul_f32(const Product& p) { matmul<F32>(p); }
void matmul_f16(const Product& p) { matmul<F16>(p); }

}  // namespace bantam::kernels::x86_avx2
