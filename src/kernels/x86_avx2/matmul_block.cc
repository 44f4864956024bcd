// Products of Q8_0 and Q4_0 weights with int8 activations. A block's 32 products are added as integers,
// exactly; then sum = fma(weight scale * activation scale, dot, sum), block after block, as in ref: equal in
// every bit.
//
// Many tokens: lanes are the 8 tokens of an ActivationTile; four bytes of a weight row are broadcast and meet
// the same four columns of the 8 tokens, so nothing is added across lanes. Few tokens: lanes are 8 weight
// rows, whose blocks are added across lanes together.

#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/block_tools.h"
#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {
namespace {

using tensor::BlockQ4_0;
using tensor::BlockQ8_0;

struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr int kRows = 2;  // by two tile rows: what the registers hold

  /// |w| * (x with w's sign): maddubs takes unsigned times signed. 2 * 128 * 127 fits 16 bits; four such do
  /// not.
  static __m256i four_dots(__m256i w, __m256i x) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)),
                             _mm256_set1_epi16(1));
  }

  template <int R, int G>
  static void dots(const Block* const (&w)[R], const ActivationTile* const (&x)[G], __m256i (&dot)[R][G]) {
    for (auto& row : dot) {
      for (auto& d : row) d = _mm256_setzero_si256();
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; ++i) {
      for (int r = 0; r < R; ++r) {
        const __m256i four = broadcast4(w[r]->q + 4 * i);
        for (int g = 0; g < G; ++g) {
          dot[r][g] = _mm256_add_epi32(dot[r][g], four_dots(four, load_tile(*x[g], i)));
          // Or the compiler turns the sum into a tree whose leaves do not fit the registers.
          asm("" : "+x"(dot[r][g]));
        }
      }
    }
  }

  /// Dot products of 8 rows' block b with x, as lanes 0 .. 7.
  static __m256i dots_of_rows(const Block* const (&row)[8], size_t b, const ActivationBlock& x) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.q));
    __m256i partial[8];
    for (int r = 0; r < 8; ++r) {
      partial[r] = four_dots(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row[r][b].q)), q);
    }
    return sums_of(partial);
  }
};

struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr int kRows = 4;

  /// Sums of n * x with n in 0..15: 16 products of at most 15 * 127 fit 16 bits. sum((n - 8) x) = sum(n x) -
  /// 8 sum(x).
  template <int R, int G>
  static void dots(const Block* const (&w)[R], const ActivationTile* const (&x)[G], __m256i (&dot)[R][G]) {
    const __m256i nibble = _mm256_set1_epi8(15);
    for (auto& row : dot) {
      for (auto& d : row) d = _mm256_setzero_si256();
    }
    for (int i = 0; i < 4; ++i) {
      for (int r = 0; r < R; ++r) {
        const __m256i both = broadcast4(w[r]->q + 4 * i);
        const __m256i low = _mm256_and_si256(both, nibble),
                      high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
        for (int g = 0; g < G; ++g) {
          dot[r][g] = _mm256_add_epi16(dot[r][g], _mm256_maddubs_epi16(low, load_tile(*x[g], i)));
          dot[r][g] = _mm256_add_epi16(dot[r][g], _mm256_maddubs_epi16(high, load_tile(*x[g], i + 4)));
          asm("" : "+x"(dot[r][g]));  // as above
        }
      }
    }
    for (int g = 0; g < G; ++g) {
      const __m256i offset =
          _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x[g]->sum)), 3);
      for (int r = 0; r < R; ++r) {
        dot[r][g] = _mm256_sub_epi32(_mm256_madd_epi16(dot[r][g], _mm256_set1_epi16(1)), offset);
      }
    }
  }

  /// As Q8_0's. Rows r and r + 4 share a vector, one in each half. Up to 16 products added fit 16 bits, so
  /// only the last two sums of each row are widened.
  static __m256i dots_of_rows(const Block* const (&row)[8], size_t b, const ActivationBlock& x) {
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i x_low = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x.q)));
    const __m256i x_high =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x.q + 16)));
    __m256i sum[4];
    for (int r = 0; r < 4; ++r) {
      const __m256i both = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(row[r + 4][b].q),
                                               reinterpret_cast<const __m128i*>(row[r][b].q));
      const __m256i low = _mm256_and_si256(both, nibble),
                    high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
      sum[r] = _mm256_add_epi16(_mm256_maddubs_epi16(low, x_low), _mm256_maddubs_epi16(high, x_high));
    }
    const __m256i pairs =
        _mm256_hadd_epi16(_mm256_hadd_epi16(sum[0], sum[1]), _mm256_hadd_epi16(sum[2], sum[3]));
    return _mm256_sub_epi32(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)), _mm256_set1_epi32(8 * x.sum));
  }
};

/// R weight rows from row i by G tile rows from tile row g.
template <class W, int R, int G>
void tile(const Product& p, size_t i, size_t first) {
  const size_t blocks = p.columns / kBlock;
  const typename W::Block* row[R];
  for (int r = 0; r < R; ++r) row[r] = weight_row<W>(p, i + r);
  __m256 sum[G][R];
  for (auto& group : sum) {
    for (auto& s : group) s = _mm256_setzero_ps();
  }
  constexpr int kAtOnce = R % W::kRows == 0 ? W::kRows : 1;
  for (size_t b = 0; b < blocks; ++b) {
    const ActivationTile* x[G];
    for (int g = 0; g < G; ++g) x[g] = p.tiles + (first + g) * blocks + b;
    for (int part = 0; part < R; part += kAtOnce) {
      const typename W::Block* w[kAtOnce];
      for (int r = 0; r < kAtOnce; ++r) w[r] = row[part + r] + b;
      __m256i dot[kAtOnce][G];
      W::template dots<kAtOnce, G>(w, x, dot);
      for (int r = 0; r < kAtOnce; ++r) {
        const __m256 scale = _mm256_set1_ps(half_at(&w[r]->scale));
        for (int g = 0; g < G; ++g) {
          const __m256 both = _mm256_mul_ps(scale, _mm256_loadu_ps(x[g]->scale));
          sum[g][part + r] = _mm256_fmadd_ps(both, _mm256_cvtepi32_ps(dot[r][g]), sum[g][part + r]);
        }
      }
    }
  }
  const size_t tiled = p.tokens - p.single_rows;
  for (int g = 0; g < G; ++g) {
    const size_t t = (first + g) * kTileRows;
    store<R>(sum[g], tiled - t < kTileRows ? tiled - t : kTileRows, p.y + t * p.y_stride + i - p.begin,
             p.y_stride);
  }
}

template <class W, int G>
void row_tiles(const Product& p, size_t first) {
  size_t i = p.begin;
  for (; i + 4 <= p.end; i += 4) tile<W, 4, G>(p, i, first);
  for (; i < p.end; ++i) tile<W, 1, G>(p, i, first);
}

/// 8 weight rows by one token; at the lower edge the last row is repeated.
template <class W>
__m256 single(const typename W::Block* const (&row)[8], const ActivationBlock* x, size_t blocks) {
  __m256 sum = _mm256_setzero_ps();
  for (size_t b = 0; b < blocks; ++b) {
    const __m256 scale = halves_of([&](int r) { return row[r][b].scale; });
    const __m256 dot = _mm256_cvtepi32_ps(W::dots_of_rows(row, b, x[b]));
    sum = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(x[b].scale)), dot, sum);
  }
  return sum;
}

template <class W>
void singles(const Product& p) {
  const size_t blocks = p.columns / kBlock, tiled = p.tokens - p.single_rows;
  for (size_t i = p.begin; i < p.end; i += 8) {
    const typename W::Block* row[8];
    for (size_t r = 0; r < 8; ++r) row[r] = weight_row<W>(p, i + r < p.end ? i + r : p.end - 1);
    const size_t kept = p.end - i < 8 ? p.end - i : 8;
    for (size_t t = 0; t < p.single_rows; ++t) {
      alignas(32) float out[8];
      _mm256_store_ps(out, single<W>(row, p.blocks + t * blocks, blocks));
      memcpy(p.y + (tiled + t) * p.y_stride + i - p.begin, out, kept * sizeof(float));
    }
  }
}

template <class W>
void matmul(const Product& p) {
  size_t g = 0;
  for (; g + 2 <= p.tile_rows; g += 2) row_tiles<W, 2>(p, g);
  if (g < p.tile_rows) row_tiles<W, 1>(p, g);
  singles<W>(p);
}

/// scale = amax / 127 through binary16; returns 127 / amax, or 0 where the scale is 0.
__m256 scale_of(__m256 amax, float* scale) {
  const __m256 steps = _mm256_set1_ps(127.0F);
  const __m256 rounded = _mm256_cvtph_ps(
      _mm256_cvtps_ph(_mm256_div_ps(amax, steps), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm256_storeu_ps(scale, rounded);
  const __m256 some = _mm256_cmp_ps(rounded, _mm256_setzero_ps(), _CMP_NEQ_UQ);
  return _mm256_and_ps(some, _mm256_div_ps(steps, amax));
}

}  // namespace

void matmul_q8_0(const Product& p) { matmul<Q8_0>(p); }
void matmul_q4_0(const Product& p) { matmul<Q4_0>(p); }

void pack_blocks(const float* x, size_t blocks, ActivationBlock* out) {
  for (size_t b = 0; b < blocks; ++b) {
    alignas(32) float scale[8];
    const __m256 inverse = scale_of(_mm256_set1_ps(max_of(magnitudes(x + b * kBlock))), scale);
    const __m256i q = quantise(x + b * kBlock, inverse);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[b].q), q);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    alignas(32) int32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), fours);
    out[b].scale = scale[0];
    out[b].sum = lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
  }
}

void pack_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles) {
  for (size_t b = 0; b < blocks; ++b) {
    __m256 most[8], q[8];
    for (size_t t = 0; t < 8; ++t) {
      most[t] = t < rows ? magnitudes(x + t * x_stride + b * kBlock) : _mm256_setzero_ps();
    }
    transpose(most);
    __m256 amax = most[0];
    for (int i = 1; i < 8; ++i) amax = _mm256_max_ps(amax, most[i]);
    alignas(32) float inverse[8];
    _mm256_store_ps(inverse, scale_of(amax, tiles[b].scale));
    for (size_t t = 0; t < 8; ++t) {
      q[t] = t < rows
                 ? _mm256_castsi256_ps(quantise(x + t * x_stride + b * kBlock, _mm256_set1_ps(inverse[t])))
                 : _mm256_setzero_ps();
    }
    transpose(q);
    __m256i pairs = _mm256_setzero_si256();  // 16 values of at most 127 fit 16 bits
    for (int i = 0; i < 8; ++i) {
      const __m256i fours = _mm256_castps_si256(q[i]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(tiles[b].q[i]), fours);
      pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(_mm256_set1_epi8(1), fours));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(tiles[b].sum),
                        _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
}

}  // namespace bantam::kernels::x86_avx2
