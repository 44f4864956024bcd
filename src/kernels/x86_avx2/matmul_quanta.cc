// Products of the weights that come apart into Quanta with int8 activations: integers add up over a block (32
// or 256 elements), then sum = fma(weight scale * activation scale, dot, sum), and the same for the minima,
// as in ref: equal in every bit.
//
// Many tokens: a block of four weight rows is taken apart once and meets all tokens, eight of which are the
// lanes. One to three tokens: lanes are eight weight rows, whose blocks are added across lanes together.

#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/block_tools.h"
#include "kernels/x86_avx2/quanta.h"

namespace bantam::kernels::x86_avx2 {
namespace {

constexpr int kRows = 4;             // that meet a tile of tokens together
constexpr size_t kTilesAtOnce = 32;  // whose sums wait in the nearest cache

template <class W>
constexpr bool kIsSuper = W::kElements == kSuperBlock;

/// Sums of two products of bytes each. maddubs takes unsigned times signed: |w| * (x with w's sign).
template <class W>
__m256i pairs(__m256i w, __m256i x) {
  return W::kSigned ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w))
                    : _mm256_maddubs_epi16(w, x);
}

/// In each 32-bit lane a * b, where a is the lane's number (16 bits and its sign).
__m256i times(__m256i a, int16_t b) { return _mm256_madd_epi16(a, _mm256_set1_epi32(b & 0xffff)); }

/// Adds the products of one block of kRows weight rows with one tile of tokens, and of their minima.
template <class W>
void meet(const Quanta (&w)[kRows], const ActivationTile* x, __m256i (&dot)[kRows], __m256i (&below)[kRows]) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int r = 0; r < kRows; ++r) dot[r] = below[r] = _mm256_setzero_si256();
  for (size_t s = 0; s < W::kElements / 16; ++s) {
    const ActivationTile& tile = x[s / 2];
    __m256i xs[4];
    for (int k = 0; k < 4; ++k) xs[k] = load_tile(tile, static_cast<int>(s % 2) * 4 + k);
    __m256i sum = _mm256_setzero_si256();
    if (W::kMin16) {
      for (const __m256i& four : xs)
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_set1_epi8(1), four));
      sum = _mm256_madd_epi16(sum, ones);
    } else if (W::kHasMin && s % 2 == 0) {
      sum = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.sum));
    }
    for (int r = 0; r < kRows; ++r) {
      const __m256i scale = kIsSuper<W> ? _mm256_set1_epi16(w[r].scales[s]) : ones;
      __m256i four = _mm256_setzero_si256();
      for (int k = 0; k < 4; ++k) {
        const __m256i two = pairs<W>(broadcast4(w[r].q + 16 * s + 4 * k), xs[k]);
        if (W::kWide) {
          dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(two, scale));
        } else {  // eight products of at most 32 * 127 fit 16 bits
          four = _mm256_add_epi16(four, two);
        }
      }
      if (!W::kWide) dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(four, scale));
      if (W::kHasMin && (W::kMin16 || s % 2 == 0)) {
        below[r] = kIsSuper<W> ? _mm256_add_epi32(below[r], times(sum, w[r].mins[s]))
                               : _mm256_sub_epi32(below[r], sum);
      }
    }
  }
}

template <class W>
__m256 min_of(const typename W::Block& block) {
  if constexpr (W::kHasMin) {
    return _mm256_set1_ps(half_at(&block.min));
  } else {
    return _mm256_setzero_ps();
  }
}

/// kRows weight rows by `count` tiles of tokens from tile row `first`; `kept` of the rows are wanted.
template <class W>
void tiles(const Product& p, size_t i, size_t kept, size_t first, size_t count) {
  const size_t blocks = p.columns / kBlock, units = p.columns / W::kElements, each = W::kElements / kBlock;
  const typename W::Block* row[kRows];
  for (size_t r = 0; r < kRows; ++r) row[r] = weight_row<W>(p, i + (r < kept ? r : kept - 1));
  __m256 sum[kTilesAtOnce][kRows];
  for (size_t g = 0; g < count; ++g) {
    for (auto& s : sum[g]) s = _mm256_setzero_ps();
  }
  Quanta w[kRows];
  for (size_t u = 0; u < units; ++u) {
    __m256 scale[kRows], min[kRows];
    for (int r = 0; r < kRows; ++r) {
      W::unpack(row[r][u], w[r]);
      scale[r] = _mm256_set1_ps(half_at(&row[r][u].scale));
      min[r] = min_of<W>(row[r][u]);
    }
    for (size_t g = 0; g < count; ++g) {
      const ActivationTile* x = p.tiles + (first + g) * blocks + u * each;
      __m256i dot[kRows], below[kRows];
      meet<W>(w, x, dot, below);
      const __m256 x_scale = _mm256_loadu_ps(x->scale);
      for (int r = 0; r < kRows; ++r) {
        __m256& s = sum[g][r];
        s = _mm256_fmadd_ps(_mm256_mul_ps(scale[r], x_scale), _mm256_cvtepi32_ps(dot[r]), s);
        if (W::kHasMin) s = _mm256_fnmadd_ps(_mm256_mul_ps(min[r], x_scale), _mm256_cvtepi32_ps(below[r]), s);
      }
    }
  }
  const size_t tiled = p.tokens - p.single_rows;
  for (size_t g = 0; g < count; ++g) {
    const size_t t = (first + g) * kTileRows, tokens = tiled - t < kTileRows ? tiled - t : kTileRows;
    float* y = p.y + t * p.y_stride + i - p.begin;
    if (kept == kRows) {
      store<kRows>(sum[g], tokens, y, p.y_stride);
    } else {
      for (size_t r = 0; r < kept; ++r) {
        const __m256 one[1] = {sum[g][r]};
        store<1>(one, tokens, y + r, p.y_stride);
      }
    }
  }
}

/// Sums of 16 activations each: of the first halves of eight blocks, then of the second ones.
__m256i sums_of_halves(const ActivationBlock* x) {
  __m256i fours[8];
  for (int b = 0; b < 8; ++b) {
    fours[b] =
        _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), load32(x[b].q)), _mm256_set1_epi16(1));
  }
  const auto add = [&](int b) {
    return _mm256_hadd_epi32(_mm256_hadd_epi32(fours[b], fours[b + 1]),
                             _mm256_hadd_epi32(fours[b + 2], fours[b + 3]));
  };
  return _mm256_packs_epi32(add(0), add(4));
}

/// Even ones, then odd ones: the order of sums_of_halves.
__m256i split(const int16_t (&mins)[16]) {
  const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  const __m256i halves = _mm256_shuffle_epi8(load32(mins), _mm256_broadcastsi128_si256(order));
  return _mm256_permute4x64_epi64(halves, 0xd8);
}

/// Products of one block, in eight parts that are still to be added.
template <class W>
__m256i dot_parts(const Quanta& w, const ActivationBlock* x) {
  // Of the two scales of 32 elements, the first goes with the lower half of the products, the second with the
  // upper one.
  const __m256i spread = _mm256_setr_epi32(0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x03020302,
                                           0x03020302, 0x03020302, 0x03020302);
  __m256i sum = _mm256_setzero_si256();
  for (size_t b = 0; b < W::kElements / kBlock; ++b) {
    const __m256i two = pairs<W>(load32(w.q + b * kBlock), load32(x[b].q));
    const __m256i scale =
        kIsSuper<W> ? _mm256_shuffle_epi8(broadcast4(w.scales + 2 * b), spread) : _mm256_set1_epi16(1);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(two, scale));
  }
  return sum;
}

/// 8 weight rows by one token.
template <class W>
__m256 single(const typename W::Block* const (&row)[8], const ActivationBlock* x, size_t units) {
  __m256 sum = _mm256_setzero_ps();
  for (size_t u = 0; u < units; ++u, x += W::kElements / kBlock) {
    Quanta w;
    __m256i dot[8], below[8];
    const __m256i x_sums = kIsSuper<W> && W::kHasMin ? sums_of_halves(x) : _mm256_setzero_si256();
    for (int r = 0; r < 8; ++r) {
      W::unpack(row[r][u], w);
      dot[r] = dot_parts<W>(w, x);
      if (kIsSuper<W> && W::kHasMin) below[r] = _mm256_madd_epi16(split(w.mins), x_sums);
    }
    const __m256 x_scale = _mm256_set1_ps(x->scale);
    const __m256 scale = _mm256_mul_ps(halves_of([&](int r) { return row[r][u].scale; }), x_scale);
    sum = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(sums_of(dot)), sum);
    if constexpr (W::kHasMin) {
      const __m256 min = _mm256_mul_ps(halves_of([&](int r) { return row[r][u].min; }), x_scale);
      const __m256i under = kIsSuper<W> ? sums_of(below) : _mm256_set1_epi32(-x->sum);
      sum = _mm256_fnmadd_ps(min, _mm256_cvtepi32_ps(under), sum);
    }
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
      _mm256_store_ps(out, single<W>(row, p.blocks + t * blocks, p.columns / W::kElements));
      memcpy(p.y + (tiled + t) * p.y_stride + i - p.begin, out, kept * sizeof(float));
    }
  }
}

template <class W>
void product(const Product& p) {
  for (size_t first = 0; first < p.tile_rows; first += kTilesAtOnce) {
    const size_t count = p.tile_rows - first < kTilesAtOnce ? p.tile_rows - first : kTilesAtOnce;
    for (size_t i = p.begin; i < p.end; i += kRows)
      tiles<W>(p, i, p.end - i < kRows ? p.end - i : kRows, first, count);
  }
  if (p.single_rows > 0) singles<W>(p);
}

}  // namespace

Matmul matmul_quanta(DType type) {
  switch (type) {
    case DType::kQ4_1:
      return product<Q4_1>;
    case DType::kQ5_0:
      return product<Q5_0>;
    case DType::kQ5_1:
      return product<Q5_1>;
    case DType::kIQ4_NL:
      return product<IQ4_NL>;
    case DType::kQ2_K:
      return product<Q2_K>;
    case DType::kQ3_K:
      return product<Q3_K>;
    case DType::kQ4_K:
      return product<Q4_K>;
    case DType::kQ5_K:
      return product<Q5_K>;
    case DType::kQ6_K:
      return product<Q6_K>;
    case DType::kIQ4_XS:
      return product<IQ4_XS>;
    case DType::kTQ1_0:
      return product<TQ1_0>;
    case DType::kTQ2_0:
      return product<TQ2_0>;
    default:
      return nullptr;
  }
}

namespace {

/// Of 256 floats.
float largest(const float* x) {
  __m256 most = _mm256_setzero_ps();
  for (size_t b = 0; b < kSuperBlock; b += kBlock) most = _mm256_max_ps(magnitudes(x + b), most);
  return max_of(most);
}

int32_t sum_of_bytes(__m256i q) {
  const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), fours);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

}  // namespace

void pack_super_blocks(const float* x, size_t blocks, ActivationBlock* out) {
  for (size_t b = 0; b < blocks; b += kSuperBlock / kBlock) {
    float inverse = 127.0F / largest(x + b * kBlock), scale = 0;
    if (inverse <= kLargestInverse) {
      scale = 1.0F / inverse;
    } else {
      inverse = 0;
    }
    for (size_t k = b; k < b + kSuperBlock / kBlock; ++k) {
      const __m256i q = quantise(x + k * kBlock, _mm256_set1_ps(inverse));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[k].q), q);
      out[k].scale = scale;
      out[k].sum = sum_of_bytes(q);
    }
  }
}

void pack_super_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* out) {
  constexpr size_t kEach = kSuperBlock / kBlock;
  for (size_t b = 0; b < blocks; b += kEach) {
    ActivationBlock row[kTileRows][kEach] = {};
    for (size_t t = 0; t < rows; ++t) pack_super_blocks(x + t * x_stride + b * kBlock, kEach, row[t]);
    for (size_t k = 0; k < kEach; ++k) {
      ActivationTile& tile = out[b + k];
      for (size_t t = 0; t < kTileRows; ++t) {
        for (size_t i = 0; i < kBlock / 4; ++i) memcpy(tile.q[i][t], row[t][k].q + 4 * i, 4);
        tile.scale[t] = row[t][k].scale;
        tile.sum[t] = row[t][k].sum;
      }
    }
  }
}

}  // namespace bantam::kernels::x86_avx2
