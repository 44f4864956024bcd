// Products with F32, F16 and BF16 weights. Each output is eight partial sums, one per lane, over columns 8
// apart, added at the end in one fixed order; tiles of 4 rows by 2 tokens and of 8 rows by 1 differ only in
// which outputs they hold at once. Eight chains of multiply-adds hide the latency of one (4 cycles, two a
// cycle).

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

struct BF16 {
  static constexpr size_t kBytes = 2;
  static __m256 load(const std::byte* at) {
    const __m256i upper = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(upper, 16));
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
    for (int r = 0; r < R; ++r) {
      wc[r] = W::load(w[r] + c * W::kBytes);
      // Keeps the compiler from loading (and converting) it again for every token: loads, not sums, would be
      // the limit.
      if (T > 1) asm("" : "+x"(wc[r]));
    }
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

/// Asks for the part'th of `parts` parts of the weights after row i + R, so that they arrive while this tile
/// is computed.
template <int R>
void prefetch_next(const Product& p, size_t i, size_t part, size_t parts) {
  constexpr size_t kLine = 64;
  if (p.rows != nullptr || i + 2 * R > p.end) return;
  const size_t bytes = R * p.row_bytes, step = (bytes / parts + kLine) / kLine * kLine;
  const std::byte* next = p.weights + (i + R) * p.row_bytes;
  for (size_t at = part * step; at < bytes && at < (part + 1) * step; at += kLine) {
    _mm_prefetch(reinterpret_cast<const char*>(next + at), _MM_HINT_T0);
  }
}

/// R weight rows, loaded once into the nearest cache, by all tokens from `first` on in groups of T. At the
/// lower edge the last row is repeated and what is wanted of the result kept.
template <class W, int R, int T>
void row_tiles(const Product& p, size_t first) {
  const size_t groups = (p.tokens - first) / T;
  for (size_t i = p.begin; i < p.end; i += R) {
    const std::byte* w[R];
    for (int r = 0; r < R; ++r) w[r] = weight_row(p, i + r < p.end ? i + r : p.end - 1);
    const size_t kept = p.end - i < R ? p.end - i : R;
    for (size_t g = 0; g < groups; ++g) {
      if (T > 1) prefetch_next<R>(p, i, g, groups);
      const size_t t = first + g * T;
      const float* x[T];
      for (int u = 0; u < T; ++u) x[u] = p.x + (t + u) * p.x_stride;
      alignas(32) float out[8];
      _mm256_store_ps(out, tile<W, R, T>(w, x, p.columns));
      for (int u = 0; u < T; ++u)
        memcpy(p.y + (t + u) * p.y_stride + i - p.begin, out + u * R, kept * sizeof(float));
    }
  }
}

template <class W>
void matmul(const Product& p) {
  const size_t paired = p.tokens / 2 * 2;
  if (paired > 0) row_tiles<W, 4, 2>(p, 0);
  if (paired < p.tokens) row_tiles<W, 8, 1>(p, paired);
}

}  // namespace

void matmul_f32(const Product& p) { matmul<F32>(p); }
void matmul_f16(const Product& p) { matmul<F16>(p); }
void matmul_bf16(const Product& p) { matmul<BF16>(p); }

}  // namespace bantam::kernels::x86_avx2
