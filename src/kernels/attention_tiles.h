#pragma once
// Attention as small matrix products, for any vector type: a tile of keys, turned about, and of values, both
// as floats, serves all rows (queries by heads of a group) before the next is read. Tiles begin at multiples
// of kKeyTile, a row passes over those it sees nothing of, and its sums run over channels and keys in order,
// whatever rows are beside it: a query's result depends on its own keys only.
//
// V has the vector operations (x86_avx2/attention.cc), E reads kLanes channels of a row, which lie in elements of kChannels each. Both
// have internal linkage, and so has all of this then.

#include <cstdint>
#include <cstring>

#include "kernels/table.h"

namespace bantam::kernels {

template <class V, class E>
class TiledAttention {
  using F = typename V::F;
  static constexpr size_t kLanes = V::kLanes;
  static constexpr size_t kRows = kQueryRows;
  static constexpr int kColumns = V::kColumns;

 public:
  static void run(const Attention& a) {
    TiledAttention one(a);
    const size_t rows = a.queries * a.group;
    for (size_t first = 0; first < rows; first += kRows)
      one.block(first, rows - first < kRows ? rows - first : kRows);
  }

 private:
  explicit TiledAttention(const Attention& a)
      : a_(a),
        width_((a.kv_stride + kLanes - 1) / kLanes * kLanes),
        q_(a.scratch),
        out_(q_ + kRows * width_),
        keys_(out_ + kRows * width_),
        values_(keys_ + kKeyTile * width_) {}

  float* row_of(float* rows, size_t r) const { return rows + r * width_; }
  size_t query_of(size_t row) const { return row / a_.group; }
  size_t head_of(size_t row) const { return row % a_.group; }

  void block(size_t first, size_t rows) {
    size_t begin = SIZE_MAX, end = 0;
    for (size_t r = 0; r < rows; ++r) {
      const size_t t = query_of(first + r), seen = size_t{a_.positions[t]} + 1;
      end_[r] = seen;
      begin_[r] = a_.window > 0 && seen > a_.window ? seen - a_.window : 0;
      if (begin_[r] < begin) begin = begin_[r];
      if (seen > end) end = seen;
      const float* q = a_.q + t * a_.q_stride + head_of(first + r) * a_.head_dim;
      for (size_t c = 0; c < width_; ++c) {
        row_of(q_, r)[c] = c < a_.head_dim ? q[c] * a_.scale : 0.0F;
        row_of(out_, r)[c] = 0.0F;
      }
      most_[r] = -__builtin_inff();
      total_[r] = 0.0F;
    }
    for (size_t j = begin / kKeyTile * kKeyTile; j < end; j += kKeyTile) {
      const size_t n = end - j < kKeyTile ? end - j : kKeyTile;
      size_t rows_here = 0;
      for (size_t r = 0; r < rows; ++r) {
        if (end_[r] > j && begin_[r] < j + n) here_[rows_here++] = r;
      }
      if (rows_here == 0) continue;
      if (rows_here == 1) {  // a copy would serve nobody else
        scores_of_one(here_[0], j, n);
        weigh(here_[0], j, n);
        mix_one(here_[0], j, n);
        continue;
      }
      read_keys(j, n);
      each_rows(rows_here, [&](auto count, size_t at) { scores<count.value>(at, n); });
      for (size_t k = 0; k < rows_here; ++k) weigh(here_[k], j, n);
      read_values(j, n);
      each_rows(rows_here, [&](auto count, size_t at) { mix<count.value>(at, n); });
    }
    for (size_t r = 0; r < rows; ++r) {
      float* out = a_.out + query_of(first + r) * a_.out_stride + head_of(first + r) * a_.head_dim;
      const F share = V::all(1.0F / total_[r]);
      for (size_t c = 0; c < width_; c += kLanes)
        V::store(row_of(out_, r) + c, V::mul(V::load(row_of(out_, r) + c), share));
      memcpy(out, row_of(out_, r), a_.head_dim * sizeof(float));
    }
  }

  template <int n>
  struct Count {
    static constexpr int value = n;
  };
  template <class Fn>
  static void each_rows(size_t rows, Fn fn) {
    size_t at = 0;
    for (; at + 6 <= rows; at += 6) fn(Count<6>{}, at);
    for (; at + 3 <= rows; at += 3) fn(Count<3>{}, at);
    for (; at < rows; ++at) fn(Count<1>{}, at);
  }

  /// Of the page that begins with key j, which a tile is.
  const typename E::Element* row(size_t j, size_t at, size_t k) const {
    return reinterpret_cast<const typename E::Element*>(a_.pages[j / kKeyTile] + at) + k * (a_.kv_stride / E::kChannels);
  }

  /// Calls fn(k, c, v, channels) for the keys j + k .. and channels c ..: v[i] is channel c + i of kLanes
  /// keys; beyond n the last key once more.
  template <class Fn>
  void for_keys(size_t j, size_t n, Fn fn) const {
    for (size_t k = 0; k < n; k += kLanes) {
      for (size_t c = 0; c < a_.kv_stride; c += kLanes) {
        const size_t channels = a_.kv_stride - c < kLanes ? a_.kv_stride - c : kLanes;
        F v[kLanes];
        for (size_t i = 0; i < kLanes; ++i)
          v[i] = E::load(row(j, a_.keys, k + i < n ? k + i : n - 1), c, channels);
        V::transpose(v);
        fn(k, c, v, channels);
      }
    }
  }

  void read_keys(size_t j, size_t n) {
    for_keys(j, n, [&](size_t k, size_t c, const F(&v)[kLanes], size_t channels) {
      for (size_t i = 0; i < channels; ++i) V::store(keys_ + (c + i) * kKeyTile + k, v[i]);
    });
  }

  /// What scores() computes, without a copy of the keys.
  void scores_of_one(size_t r, size_t j, size_t n) {
    const float* q = row_of(q_, r);  // zero from head_dim on
    F sum = V::all(0.0F);
    for_keys(j, n, [&](size_t k, size_t c, const F(&v)[kLanes], size_t channels) {
      if (c == 0) sum = V::all(0.0F);
      for (size_t i = 0; i < channels; ++i) sum = V::fma(V::all(q[c + i]), v[i], sum);
      if (c + kLanes >= a_.kv_stride) V::store(score_[r] + k, sum);
    });
  }

  /// What mix() computes, likewise.
  void mix_one(size_t r, size_t j, size_t n) {
    const F keep = V::all(keep_[r]);
    float* out = row_of(out_, r);
    for (size_t c = 0; c < a_.kv_stride; c += kColumns * kLanes) {
      F sum[kColumns];
      for (int v = 0; v < kColumns; ++v) {
        const size_t at = c + v * kLanes;
        sum[v] = at < width_ ? V::mul(V::load(out + at), keep) : keep;
      }
      for (size_t k = 0; k < n; ++k) {
        const F w = V::all(score_[r][k]);
#pragma GCC unroll 4
        for (int v = 0; v < kColumns; ++v) {
          const size_t at = c + v * kLanes;
          if (at >= a_.kv_stride) break;
          const size_t channels = a_.kv_stride - at < kLanes ? a_.kv_stride - at : kLanes;
          sum[v] = V::fma(w, E::load(row(j, a_.values, k), at, channels), sum[v]);
        }
      }
      for (int v = 0; v < kColumns && c + v * kLanes < width_; ++v) V::store(out + c + v * kLanes, sum[v]);
    }
  }

  void read_values(size_t j, size_t n) {
    for (size_t k = 0; k < n; ++k) {
      float* to = values_ + k * width_;
      for (size_t c = 0; c < a_.kv_stride; c += kLanes) {
        const size_t channels = a_.kv_stride - c < kLanes ? a_.kv_stride - c : kLanes;
        V::store(to + c, E::load(row(j, a_.values, k), c, channels));
      }
    }
  }

  template <int R>
  void scores(size_t at, size_t n) {
    const float* q[R];
    for (int r = 0; r < R; ++r) q[r] = row_of(q_, here_[at + r]);
    for (size_t j = 0; j < n; j += kColumns * kLanes) {
      F sum[R][kColumns];
      for (auto& row : sum) {
        for (auto& s : row) s = V::all(0.0F);
      }
      for (size_t c = 0; c < a_.head_dim; ++c) {
        F k[kColumns];
#pragma GCC unroll 4
        for (int v = 0; v < kColumns; ++v) k[v] = V::load(keys_ + c * kKeyTile + j + v * kLanes);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          const F x = V::all(q[r][c]);
#pragma GCC unroll 4
          for (int v = 0; v < kColumns; ++v) sum[r][v] = V::fma(x, k[v], sum[r][v]);
        }
      }
      for (int r = 0; r < R; ++r) {
        for (int v = 0; v < kColumns; ++v) V::store(score_[here_[at + r]] + j + v * kLanes, sum[r][v]);
      }
    }
  }

  /// The row's scores become weights below the running maximum.
  void weigh(size_t r, size_t j, size_t n) {
    float* score = score_[r];
    const int from = static_cast<int>(begin_[r] > j ? begin_[r] - j : 0),
              to = static_cast<int>(end_[r] - j < n ? end_[r] - j : n);
    F most = V::all(-__builtin_inff());
    for (size_t k = 0; k < n; k += kLanes) {
      F s = V::load(score + k);
      if (a_.softcap > 0) s = V::mul(V::all(a_.softcap), V::tanh(V::mul(s, V::all(1.0F / a_.softcap))));
      s = V::between(s, from - static_cast<int>(k), to - static_cast<int>(k), -__builtin_inff());
      V::store(score + k, s);
      most = V::max(most, s);
    }
    const float here = V::max_of(most), next = here > most_[r] ? here : most_[r];
    const F base = V::all(next);
    F sum = V::all(0.0F);
    for (size_t k = 0; k < n; k += kLanes) {
      const F e = V::exp(V::sub(V::load(score + k), base));
      V::store(score + k, e);
      sum = V::add(sum, e);
    }
    const float keep = V::first(V::exp(V::all(most_[r] - next)));
    keep_[r] = keep;
    total_[r] = total_[r] * keep + V::sum_of(sum);
    most_[r] = next;
  }

  /// out = out * keep + weights times values
  template <int R>
  void mix(size_t at, size_t n) {
    const float* weight[R];
    float* out[R];
    F keep[R];
    for (int r = 0; r < R; ++r) {
      const size_t row = here_[at + r];
      weight[r] = score_[row];
      out[r] = row_of(out_, row);
      keep[r] = V::all(keep_[row]);
    }
    size_t c = 0;
    for (; c + kColumns * kLanes <= width_; c += kColumns * kLanes)
      mix_columns<R, kColumns>(weight, out, keep, c, n);
    for (; c < width_; c += kLanes) mix_columns<R, 1>(weight, out, keep, c, n);
  }

  template <int R, int C>
  void mix_columns(const float* const (&weight)[R], float* const (&out)[R], const F (&keep)[R], size_t c,
                   size_t n) {
    F sum[R][C];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < C; ++v) sum[r][v] = V::mul(V::load(out[r] + c + v * kLanes), keep[r]);
    }
    for (size_t k = 0; k < n; ++k) {
      F x[C];
#pragma GCC unroll 4
      for (int v = 0; v < C; ++v) x[v] = V::load(values_ + k * width_ + c + v * kLanes);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const F w = V::all(weight[r][k]);
#pragma GCC unroll 4
        for (int v = 0; v < C; ++v) sum[r][v] = V::fma(w, x[v], sum[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < C; ++v) V::store(out[r] + c + v * kLanes, sum[r][v]);
    }
  }

  const Attention& a_;
  const size_t width_;  // kv_stride in whole vectors
  size_t begin_[kRows], end_[kRows], here_[kRows];
  float most_[kRows], total_[kRows], keep_[kRows];
  alignas(64) float score_[kRows][kKeyTile];
  float* const q_;       // [kRows][width_]
  float* const out_;     // likewise
  float* const keys_;    // [width_][kKeyTile]
  float* const values_;  // [kKeyTile][width_]
};

}  // namespace bantam::kernels
