#pragma once
// Attention with vectors of 128 bits and a running maximum over tiles of kKeyTile keys; see eight.h for N.
// Where tiles begin depends on the query's position only, and each query goes through them alone, so a
// query's result depends on its own keys only.

#include "kernels/simd128/eight.h"
#include "kernels/table.h"

namespace bantam::kernels::simd128 {

template <class N>
class Attend {
  using E = Eight<N>;
  using F = typename E::F;

 public:
  struct F32 {
    using Element = float;
    static F load(const float* at) { return E::load(at); }
  };
  struct F16 {
    using Element = uint16_t;
    static F load(const uint16_t* at) { return {N::from_halves(at), N::from_halves(at + 4)}; }
  };

  template <class K>
  static void run(Attention a) {
    for (size_t head = 0; head < a.group; ++head, a.q += a.head_dim, a.out += a.head_dim) one_head<K>(a);
  }

 private:
  template <class K>
  static void one_head(const Attention& a) {
    float q[kMaxHeadDim], out[kMaxHeadDim];  // padded with zeros to kv_stride
    for (size_t t = 0; t < a.queries; ++t) {
      for (size_t c = 0; c < a.kv_stride; ++c) {
        q[c] = c < a.head_dim ? a.q[t * a.q_stride + c] * a.scale : 0.0F;
        out[c] = 0.0F;
      }
      const size_t end = size_t{a.positions[t]} + 1;
      one_query<K>(a, q, out, a.window > 0 && end > a.window ? end - a.window : 0, end);
      memcpy(a.out + t * a.out_stride, out, a.head_dim * sizeof(float));
    }
  }

  static int left(size_t n, size_t j) { return static_cast<int>(n - j < 8 ? n - j : 8); }

  /// score[j] = q . key j for j < n, minus infinity up to the next multiple of 8.
  template <class K>
  static void score_tile(const float* q, const typename K::Element* keys, size_t stride, size_t n,
                         float* score) {
    for (size_t j = 0; j < n; j += 8) {
      const typename K::Element* key[8];
      for (size_t k = 0; k < 8; ++k) key[k] = keys + (j + k < n ? j + k : n - 1) * stride;
      F sum[8];
      for (auto& s : sum) s = E::all(0.0F);
      for (size_t c = 0; c < stride; c += 8) {
        const F qc = E::load(q + c);
        for (int k = 0; k < 8; ++k) sum[k] = E::fma(qc, K::load(key[k] + c), sum[k]);
      }
      E::store(score + j, E::between(E::sums_of(sum), 0, left(n, j), -__builtin_inff()));
    }
  }

  /// score = cap * tanh(score / cap), up to the next multiple of 8; minus infinity stays.
  static void cap_scores(float* score, size_t n, float cap) {
    const F limit = E::all(cap), inverse = E::all(1.0F / cap);
    for (size_t j = 0; j < n; j += 8) {
      const F capped = E::mul(limit, E::tanh(E::mul(E::load(score + j), inverse)));
      E::store(score + j, E::between(capped, 0, left(n, j), -__builtin_inff()));
    }
  }

  /// out[c] = out[c] * keep + sum over j of weight[j] * value j[c], for V vectors of 8 channels.
  template <class K, int V>
  static void mix(const typename K::Element* values, size_t stride, size_t n, const float* weight, F keep,
                  float* out) {
    F sum[V];
    for (int v = 0; v < V; ++v) sum[v] = E::mul(E::load(out + 8 * v), keep);
    for (size_t j = 0; j < n; ++j) {
      const F w = E::all(weight[j]);
      for (int v = 0; v < V; ++v) sum[v] = E::fma(w, K::load(values + j * stride + 8 * v), sum[v]);
    }
    for (int v = 0; v < V; ++v) E::store(out + 8 * v, sum[v]);
  }

  template <class K>
  static void mix_tile(const typename K::Element* values, size_t stride, size_t n, const float* weight,
                       F keep, float* out) {
    size_t c = 0;
    for (; c + 64 <= stride; c += 64) mix<K, 8>(values + c, stride, n, weight, keep, out + c);
    for (; c + 32 <= stride; c += 32) mix<K, 4>(values + c, stride, n, weight, keep, out + c);
    for (; c < stride; c += 8) mix<K, 1>(values + c, stride, n, weight, keep, out + c);
  }

  template <class K>
  static void one_query(const Attention& a, const float* q, float* out, size_t first, size_t seen) {
    const auto* keys = static_cast<const typename K::Element*>(a.keys);
    const auto* values = static_cast<const typename K::Element*>(a.values);
    float largest = -__builtin_inff();
    F total = E::all(0.0F);
    for (size_t j = first; j < seen; j += kKeyTile) {
      const size_t n = seen - j < kKeyTile ? seen - j : kKeyTile;
      float score[kKeyTile];
      score_tile<K>(q, keys + j * a.kv_stride, a.kv_stride, n, score);
      if (a.softcap > 0) cap_scores(score, n, a.softcap);
      F most = E::load(score);
      for (size_t k = 8; k < n; k += 8) most = E::max(most, E::load(score + k));
      const float tile_most = E::max_of(most), next = tile_most > largest ? tile_most : largest;
      const F keep = E::exp(E::all(largest - next)), base = E::all(next);
      total = E::mul(total, keep);
      for (size_t k = 0; k < n; k += 8) {
        const F e = E::exp(E::sub(E::load(score + k), base));
        E::store(score + k, e);
        total = E::add(total, e);
      }
      mix_tile<K>(values + j * a.kv_stride, a.kv_stride, n, score, keep, out);
      largest = next;
    }
    const F share = E::all(1.0F / E::sum_of(total));
    for (size_t c = 0; c < a.kv_stride; c += 8) E::store(out + c, E::mul(E::load(out + c), share));
  }
};

}  // namespace bantam::kernels::simd128
