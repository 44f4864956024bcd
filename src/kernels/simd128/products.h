#pragma once
// Products of quantised weights with int8 activations in vectors of 128 bits: integers add up over a block
// (32 or 256 elements), exactly; then sum = fma(weight scale * activation scale, dot, sum), and the same for
// the minima, as in ref: equal in every bit where N fuses.
//
// Many tokens: D::kRows weight rows, taken apart block by block, meet tiles of eight tokens. One to three
// tokens: four weight rows, whose blocks are added across lanes together. N: see eight.h. D: how 16 bytes of
// weights meet 16 of activations, see Plain.

#include "kernels/simd128/eight.h"
#include "kernels/simd128/layouts.h"
#include "kernels/table.h"

namespace bantam::kernels::simd128 {

/// Products of bytes where there is no instruction that adds four of them: products in 16 bits, of which any
/// two can be added there (2 * 128 * 127 < 2^15), then pairs of those in 32 bits.
template <class N>
struct Plain {
  using I = typename N::I;
  using S = typename N::S;
  static constexpr int kRows = 4;
  /// Sums of a span of columns. [r][h][e]: row r by tokens 4 h + 2 e and the one after it, in two lanes each.
  struct Part {
    I sum[kRows][2][2];
  };

  /// acc's lanes plus parts of the dot product of 16 weights with 16 activations.
  static I dot(I acc, S w, S x) { return N::add_pairs(acc, N::mul_high_add(N::mul_low(w, x), w, x)); }

  /// Where element 0 of chunk `chunk` of row r goes among kRows rows' chunks, and how it is written.
  static void put(int8_t* rows, int chunk, int r, S w) { N::store_s8(rows + (chunk * kRows + r) * 16, w); }

  /// Adds the products of chunk `chunk` of the rows with those columns of a tile: q[4 * half] and on.
  static void add(Part& part, const int8_t* rows, size_t chunk, const ActivationTile& tile) {
    const auto(&q)[kBlock / 4][kTileRows][4] = tile.q;
    const size_t first = chunk % 2 * 4;
    S w[kRows];
    for (int r = 0; r < kRows; ++r) w[r] = N::load_s8(rows + (chunk * kRows + r) * 16);
    unroll<2>([&](auto pair) {
      constexpr int i = 2 * decltype(pair)::value;
      S x[2][2];
      for (int h = 0; h < 2; ++h) {
        x[0][h] = N::load_s8(q[first + i][4 * h]);
        x[1][h] = N::load_s8(q[first + i + 1][4 * h]);
      }
      for (int r = 0; r < kRows; ++r) {
        const S a = N::template repeat4<i>(w[r]), b = N::template repeat4<i + 1>(w[r]);
        for (int h = 0; h < 2; ++h) {
          auto& sum = part.sum[r][h];
          sum[0] = N::add_pairs(sum[0], N::mul_low_add(N::mul_low(x[0][h], a), x[1][h], b));
          sum[1] = N::add_pairs(sum[1], N::mul_high_add(N::mul_high(x[0][h], a), x[1][h], b));
        }
      }
    });
  }

  /// Total n of 2 * kRows: row n / 2, tokens 4 (n % 2) and on.
  static I total(const Part& part, int n) {
    return N::pairs_i(part.sum[n / 2][n % 2][0], part.sum[n / 2][n % 2][1]);
  }
  /// The scale of the rows in the lanes of total n.
  static I scale(const int32_t (&scales)[kRows], int n) { return N::all_i(scales[n / 2]); }
  /// Row r by tokens 4 h .. 4 h + 3 out of the totals.
  static I lanes(const I (&totals)[2 * kRows], int r, int h) { return totals[2 * r + h]; }
};

template <class N, class D, class W>
class QuantisedProduct {
  using I = typename N::I;
  using S = typename N::S;
  using F = typename N::F;
  using Block = typename W::Block;
  static constexpr int kRows = D::kRows;
  static constexpr size_t kTilesAtOnce = 32;  // whose sums wait in the nearest cache
  static constexpr int kSingleRows = 4;
  static constexpr int kSpans = W::kElements / W::kSpan, kSpanChunks = W::kSpan / 16;

  /// One block of kRows weight rows taken apart.
  struct Panel {
    alignas(16) int8_t q[kRows * W::kElements];
    int32_t scales[kSpans][kRows], mins[kSpans][kRows];
    float scale[kRows], min[kRows];
  };

  static const Block* weight_row(const Product& p, size_t i) {
    const size_t row = p.rows != nullptr ? static_cast<size_t>(p.rows[i]) : i;
    return reinterpret_cast<const Block*>(p.weights + row * p.row_bytes);
  }

  /// half_of(0) .. half_of(3), four binary16, as floats. By way of a general register: a vector load right
  /// after four narrow stores would wait for them all.
  template <class Fn>
  static F halves_of(Fn half_of) {
    return N::halves(half_of(0) | uint64_t{half_of(1)} << 16 | uint64_t{half_of(2)} << 32 |
                     uint64_t{half_of(3)} << 48);
  }

  static void put_spans(const I (&values)[W::kScaleVectors], int r, int32_t (&out)[kSpans][kRows]) {
    int32_t all[4 * W::kScaleVectors];
    for (int i = 0; i < W::kScaleVectors; ++i) N::store_i(all + 4 * i, values[i]);
    for (int s = 0; s < kSpans; ++s) out[s][r] = all[s];
  }

  static void unpack(const Block* const (&row)[kRows], size_t u, Panel& out) {
    for (int r = 0; r < kRows; ++r) {
      const Block& block = row[r][u];
      unroll<W::kChunks>([&](auto k) {
        constexpr int chunk = decltype(k)::value;
        D::put(out.q, chunk, r, W::template chunk<chunk>(block));
      });
      if constexpr (W::kScaled) {
        I values[W::kScaleVectors];
        W::scales(block, values);
        put_spans(values, r, out.scales);
        if constexpr (W::kHasMin) {
          W::mins(block, values);
          put_spans(values, r, out.mins);
        }
      }
    }
    for (int r = 0; r < kRows; r += 4) {
      N::store(out.scale + r, halves_of([&](int i) { return row[r + i][u].scale; }));
      if constexpr (W::kHasMin) N::store(out.min + r, halves_of([&](int i) { return row[r + i][u].min; }));
    }
  }

  /// The products of a block with a tile of tokens, and those of its minima ([r][h]: tokens 4 h and on).
  static void meet(const Panel& w, const ActivationTile* x, I (&dot)[2 * kRows], I (&below)[kRows][2]) {
    for (I& d : dot) d = N::all_i(0);
    for (int s = 0; s < kSpans; ++s) {
      typename D::Part part = {};
      for (int k = s * kSpanChunks; k < (s + 1) * kSpanChunks; ++k) D::add(part, w.q, k, x[k / 2]);
      for (int n = 0; n < 2 * kRows; ++n) {
        dot[n] = W::kScaled ? N::mul_add_i(dot[n], D::total(part, n), D::scale(w.scales[s], n))
                            : D::total(part, n);
      }
    }
    if constexpr (W::kHasMin) meet_minima(w, x, below);
  }

  static void meet_minima(const Panel& w, const ActivationTile* x, I (&below)[kRows][2]) {
    for (auto& row : below) row[0] = row[1] = N::all_i(0);
    for (int s = 0; s < kSpans; ++s) {
      for (int h = 0; h < 2; ++h) {
        I sum;
        if constexpr (W::kSpan == 16) {
          sum = N::all_i(0);
          for (int i = 0; i < 4; ++i) sum = N::sum_bytes(sum, N::load_s8(x[s / 2].q[s % 2 * 4 + i][4 * h]));
        } else {
          sum = N::load_i(x[s].sum + 4 * h);
        }
        for (int r = 0; r < kRows; ++r) {
          below[r][h] = W::kScaled ? N::mul_add_i(below[r][h], sum, N::all_i(w.mins[s][r]))
                                   : N::sub_i(below[r][h], sum);
        }
      }
    }
  }

  /// kRows weight rows by `count` tiles of tokens from tile row `first`; `kept` of the rows are wanted.
  static void tiles(const Product& p, size_t i, size_t kept, size_t first, size_t count) {
    const size_t blocks = p.columns / kBlock, each = W::kElements / kBlock;
    const Block* row[kRows];
    for (size_t r = 0; r < kRows; ++r) row[r] = weight_row(p, i + (r < kept ? r : kept - 1));
    F sum[kTilesAtOnce][kRows][2];
    for (size_t g = 0; g < count; ++g) {
      for (auto& s : sum[g]) s[0] = s[1] = N::all(0.0F);
    }
    Panel w;
    for (size_t u = 0; u < p.columns / W::kElements; ++u) {
      unpack(row, u, w);
      for (size_t g = 0; g < count; ++g) {
        const ActivationTile* x = p.tiles + (first + g) * blocks + u * each;
        I dot[2 * kRows], below[kRows][2];
        meet(w, x, dot, below);
        for (int h = 0; h < 2; ++h) {
          const F x_scale = N::load(x->scale + 4 * h);
          for (int r = 0; r < kRows; ++r) {
            F& s = sum[g][r][h];
            s = N::fma_exact(N::mul(N::all(w.scale[r]), x_scale), N::to_float(D::lanes(dot, r, h)), s);
            if (W::kHasMin)
              s = N::minus_product_exact(N::mul(N::all(w.min[r]), x_scale), N::to_float(below[r][h]), s);
          }
        }
      }
    }
    const size_t tiled = p.tokens - p.single_rows;
    for (size_t g = 0; g < count; ++g) {
      const size_t t = (first + g) * kTileRows;
      store(sum[g], kept, tiled - t < kTileRows ? tiled - t : kTileRows, p.y + t * p.y_stride + i - p.begin,
            p.y_stride);
    }
  }

  /// Writes `kept` of the rows, which are adjacent in y, of `tokens` tokens.
  static void store(const F (&sum)[kRows][2], size_t kept, size_t tokens, float* y, size_t y_stride) {
    for (size_t h = 0; h < 2; ++h) {
      for (size_t r = 0; r < kept; r += 4) {
        F v[4] = {sum[r][h], sum[r + 1][h], sum[r + 2][h], sum[r + 3][h]};
        N::transpose(v[0], v[1], v[2], v[3]);
        for (size_t t = 4 * h; t < tokens && t < 4 * h + 4; ++t) {
          float* to = y + t * y_stride + r;
          if (kept - r >= 4) {
            N::store(to, v[t % 4]);
          } else {
            float lanes[4];
            N::store(lanes, v[t % 4]);
            memcpy(to, lanes, (kept - r) * sizeof(float));
          }
        }
      }
    }
  }

  /// The products of one block with one token, in four parts that are still to be added.
  static I dot_parts(const Block& block, const ActivationBlock* x) {
    I dot = N::all_i(0);
    const auto x_chunk = [&](int k) { return N::load_s8(x[k / 2].q + k % 2 * 16); };
    if constexpr (!W::kScaled) {
      unroll<W::kChunks>([&](auto k) {
        constexpr int chunk = decltype(k)::value;
        dot = D::dot(dot, W::template chunk<chunk>(block), x_chunk(chunk));
      });
    } else {
      I scales[W::kScaleVectors];
      W::scales(block, scales);
      unroll<kSpans>([&](auto span) {
        constexpr int s = decltype(span)::value;
        I part = N::all_i(0);
        unroll<kSpanChunks>([&](auto k) {
          constexpr int chunk = s * kSpanChunks + decltype(k)::value;
          part = D::dot(part, W::template chunk<chunk>(block), x_chunk(chunk));
        });
        dot = N::template mul_lane_add_i<s % 4>(dot, part, scales[s / 4]);
      });
    }
    return dot;
  }

  /// Sums of the activations of each span of a block that has minima.
  static void span_sums(const ActivationBlock* x, I (&out)[W::kScaleVectors]) {
    if constexpr (W::kSpan == 16) {
      for (int i = 0; i < W::kScaleVectors; ++i) {
        I v[4];
        for (int k = 0; k < 4; ++k)
          v[k] = N::sum_bytes(N::all_i(0), N::load_s8(x[2 * i + k / 2].q + k % 2 * 16));
        out[i] = sums_of(v);
      }
    } else {
      int32_t sums[4 * W::kScaleVectors];
      for (int s = 0; s < kSpans; ++s) sums[s] = x[s].sum;
      for (int i = 0; i < W::kScaleVectors; ++i) out[i] = N::load_i(sums + 4 * i);
    }
  }

  /// Lane i is the sum of v[i]'s lanes.
  static I sums_of(const I (&v)[4]) { return N::pairs_i(N::pairs_i(v[0], v[1]), N::pairs_i(v[2], v[3])); }

  /// kSingleRows weight rows by one token.
  static F single(const Block* const (&row)[kSingleRows], const ActivationBlock* x, size_t units) {
    F sum = N::all(0.0F);
    for (size_t u = 0; u < units; ++u, x += W::kElements / kBlock) {
      I dot[kSingleRows];
      for (int r = 0; r < kSingleRows; ++r) dot[r] = dot_parts(row[r][u], x);
      const F x_scale = N::all(x->scale);
      const F scale = N::mul(halves_of([&](int r) { return row[r][u].scale; }), x_scale);
      sum = N::fma_exact(scale, N::to_float(sums_of(dot)), sum);
      if constexpr (W::kHasMin) {
        I below[kSingleRows], under = N::all_i(-x->sum);
        if constexpr (W::kScaled) {
          I sums[W::kScaleVectors], mins[W::kScaleVectors];
          span_sums(x, sums);
          for (int r = 0; r < kSingleRows; ++r) {
            W::mins(row[r][u], mins);
            below[r] = N::all_i(0);
            for (int i = 0; i < W::kScaleVectors; ++i) below[r] = N::mul_add_i(below[r], mins[i], sums[i]);
          }
          under = sums_of(below);
        }
        const F min = N::mul(halves_of([&](int r) { return row[r][u].min; }), x_scale);
        sum = N::minus_product_exact(min, N::to_float(under), sum);
      }
    }
    return sum;
  }

  static void singles(const Product& p) {
    const size_t blocks = p.columns / kBlock, tiled = p.tokens - p.single_rows;
    for (size_t i = p.begin; i < p.end; i += kSingleRows) {
      const Block* row[kSingleRows];
      for (size_t r = 0; r < kSingleRows; ++r) row[r] = weight_row(p, i + r < p.end ? i + r : p.end - 1);
      const size_t kept = p.end - i < kSingleRows ? p.end - i : kSingleRows;
      for (size_t t = 0; t < p.single_rows; ++t) {
        float out[kSingleRows];
        N::store(out, single(row, p.blocks + t * blocks, p.columns / W::kElements));
        memcpy(p.y + (tiled + t) * p.y_stride + i - p.begin, out, kept * sizeof(float));
      }
    }
  }

 public:
  static void run(const Product& p) {
    for (size_t first = 0; first < p.tile_rows; first += kTilesAtOnce) {
      const size_t count = p.tile_rows - first < kTilesAtOnce ? p.tile_rows - first : kTilesAtOnce;
      for (size_t i = p.begin; i < p.end; i += kRows)
        tiles(p, i, p.end - i < kRows ? p.end - i : kRows, first, count);
    }
    if (p.single_rows > 0) singles(p);
  }
};

/// The product with a quantised type; null for others.
template <class N, class D>
Matmul quantised_product(tensor::DType type) {
  using tensor::DType;
  using L = Layouts<N>;
  switch (type) {
    case DType::kQ8_0:
      return QuantisedProduct<N, D, typename L::Q8_0>::run;
    case DType::kQ4_0:
      return QuantisedProduct<N, D, typename L::Q4_0>::run;
    case DType::kQ4_1:
      return QuantisedProduct<N, D, typename L::Q4_1>::run;
    case DType::kQ5_0:
      return QuantisedProduct<N, D, typename L::Q5_0>::run;
    case DType::kQ5_1:
      return QuantisedProduct<N, D, typename L::Q5_1>::run;
    case DType::kIQ4_NL:
      return QuantisedProduct<N, D, typename L::IQ4_NL>::run;
    case DType::kQ2_K:
      return QuantisedProduct<N, D, typename L::Q2_K>::run;
    case DType::kQ3_K:
      return QuantisedProduct<N, D, typename L::Q3_K>::run;
    case DType::kQ4_K:
      return QuantisedProduct<N, D, typename L::Q4_K>::run;
    case DType::kQ5_K:
      return QuantisedProduct<N, D, typename L::Q5_K>::run;
    case DType::kQ6_K:
      return QuantisedProduct<N, D, typename L::Q6_K>::run;
    case DType::kIQ4_XS:
      return QuantisedProduct<N, D, typename L::IQ4_XS>::run;
    case DType::kTQ1_0:
      return QuantisedProduct<N, D, typename L::TQ1_0>::run;
    case DType::kTQ2_0:
      return QuantisedProduct<N, D, typename L::TQ2_0>::run;
    default:
      return nullptr;
  }
}

}  // namespace bantam::kernels::simd128
