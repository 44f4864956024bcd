#pragma once
// Products with F32, F16 and BF16 weights with vectors of 128 bits; see eight.h for N. Each output is eight
// partial sums over columns 8 apart, added at the end in one fixed order; tiles of 4 rows by 2 tokens and of
// 8 rows by 1 differ only in which outputs they hold at once.

#include "kernels/simd128/eight.h"
#include "kernels/table.h"

namespace bantam::kernels::simd128 {

template <class N>
class FloatProduct {
  using E = Eight<N>;
  using F = typename E::F;

 public:
  struct F32 {
    static constexpr size_t kBytes = 4;
    static F load(const std::byte* at) { return E::load(reinterpret_cast<const float*>(at)); }
  };
  struct F16 {
    static constexpr size_t kBytes = 2;
    static F load(const std::byte* at) {
      const auto* halves = reinterpret_cast<const uint16_t*>(at);
      return {N::from_halves(halves), N::from_halves(halves + 4)};
    }
  };
  struct BF16 {
    static constexpr size_t kBytes = 2;
    static F load(const std::byte* at) {
      const auto* halves = reinterpret_cast<const uint16_t*>(at);
      return {N::from_bfloats(halves), N::from_bfloats(halves + 4)};
    }
  };

  template <class W>
  static void run(const Product& p) {
    const size_t paired = p.tokens / 2 * 2;
    if (paired > 0) row_tiles<W, 4, 2>(p, 0);
    if (paired < p.tokens) row_tiles<W, 8, 1>(p, paired);
  }

 private:
  template <class W>
  static F load_part(const std::byte* at, size_t n) {
    std::byte whole[8 * W::kBytes] = {};
    memcpy(whole, at, n * W::kBytes);
    return W::load(whole);
  }

  /// Outputs of R rows and T tokens, R * T = 8, as lanes t * R + r.
  template <class W, int R, int T>
  static F tile(const std::byte* const (&w)[R], const float* const (&x)[T], size_t columns) {
    F sum[8];
    for (auto& s : sum) s = E::all(0.0F);
    const auto add = [&](const F(&wc)[R], const F(&xc)[T]) {
      for (int t = 0; t < T; ++t) {
        for (int r = 0; r < R; ++r) sum[t * R + r] = E::fma(wc[r], xc[t], sum[t * R + r]);
      }
    };
    F wc[R], xc[T];
    size_t c = 0;
    for (; c + 8 <= columns; c += 8) {
      for (int r = 0; r < R; ++r) wc[r] = W::load(w[r] + c * W::kBytes);
      for (int t = 0; t < T; ++t) xc[t] = E::load(x[t] + c);
      add(wc, xc);
    }
    if (c < columns) {
      for (int r = 0; r < R; ++r) wc[r] = load_part<W>(w[r] + c * W::kBytes, columns - c);
      for (int t = 0; t < T; ++t) xc[t] = E::load(x[t] + c, columns - c);
      add(wc, xc);
    }
    return E::sums_of(sum);
  }

  /// R weight rows, loaded once into the nearest cache, by all tokens from `first` on in groups of T. At the
  /// lower edge the last row is repeated and what is wanted of the result kept.
  template <class W, int R, int T>
  static void row_tiles(const Product& p, size_t first) {
    for (size_t i = p.begin; i < p.end; i += R) {
      const std::byte* w[R];
      for (int r = 0; r < R; ++r) {
        const size_t at = i + r < p.end ? i + r : p.end - 1;
        w[r] = p.weights + (p.rows != nullptr ? static_cast<size_t>(p.rows[at]) : at) * p.row_bytes;
      }
      const size_t kept = p.end - i < R ? p.end - i : R;
      for (size_t t = first; t + T <= p.tokens; t += T) {
        const float* x[T];
        for (int u = 0; u < T; ++u) x[u] = p.x + (t + u) * p.x_stride;
        float out[8];
        E::store(out, tile<W, R, T>(w, x, p.columns));
        for (int u = 0; u < T; ++u)
          memcpy(p.y + (t + u) * p.y_stride + i - p.begin, out + u * R, kept * sizeof(float));
      }
    }
  }
};

/// The product with F32, F16 or BF16; null for other types.
template <class N>
Matmul float_product(tensor::DType type) {
  using tensor::DType;
  using Product = FloatProduct<N>;
  switch (type) {
    case DType::kF32:
      return Product::template run<typename Product::F32>;
    case DType::kF16:
      return Product::template run<typename Product::F16>;
    case DType::kBF16:
      return Product::template run<typename Product::BF16>;
    default:
      return nullptr;
  }
}

}  // namespace bantam::kernels::simd128
