#pragma once
// Norms, rotations, activations and conversions with vectors of 128 bits; see eight.h for N and
// kernels/table.h for what each computes.

#include "kernels/simd128/eight.h"

namespace bantam::kernels::simd128 {

template <class N>
class Elementwise {
  using E = Eight<N>;
  using F = typename E::F;

  struct Whole {
    F load(const float* at) const { return E::load(at); }
    void store(float* at, F v) const { E::store(at, v); }
    F choose(F v, float) const { return v; }
  };
  /// The first lanes of the last vector of an array.
  struct Part {
    size_t n;
    F load(const float* at) const { return E::load(at, n); }
    void store(float* at, F v) const { E::store(at, v, n); }
    F choose(F v, float other) const { return E::between(v, 0, static_cast<int>(n), other); }
  };

  /// Calls body(offset, lanes) for whole vectors of 8 and then for the rest. lanes.choose(v, other) is v in
  /// the lanes that count.
  template <class Body>
  static void for_vectors(size_t n, Body body) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) body(i, Whole{});
    if (i < n) body(i, Part{n - i});
  }

 public:
  static void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) {
    F squares = E::all(0.0F);
    for_vectors(n, [&](size_t i, auto lanes) {
      const F v = lanes.load(x + i);
      squares = E::fma(v, v, squares);
    });
    const F mean = E::all(E::sum_of(squares) / static_cast<float>(n) + eps);
    const F scale = E::div(E::all(1.0F), E::sqrt(mean));
    for_vectors(n, [&](size_t i, auto lanes) {
      lanes.store(y + i, E::mul(E::mul(lanes.load(x + i), scale), lanes.load(weight + i)));
    });
  }

  static void rope_interleaved(float* x, const float* cos, const float* sin, size_t head_dim) {
    size_t i = 0;
    for (; i + 8 <= head_dim; i += 8) {
      typename N::F a, b;
      N::load_pairs(x + i, a, b);
      const auto c = N::load(cos + i / 2), s = N::load(sin + i / 2);
      N::store_pairs(x + i, N::sub(N::mul(a, c), N::mul(b, s)), N::add(N::mul(b, c), N::mul(a, s)));
    }
    for (; i + 2 <= head_dim; i += 2) {
      const float a = x[i], b = x[i + 1], c = cos[i / 2], s = sin[i / 2];
      x[i] = a * c - b * s;
      x[i + 1] = b * c + a * s;
    }
  }

  static void rope_half(float* x, const float* cos, const float* sin, size_t head_dim) {
    float* y = x + head_dim / 2;
    for_vectors(head_dim / 2, [&](size_t i, auto lanes) {
      const F a = lanes.load(x + i), b = lanes.load(y + i), c = lanes.load(cos + i), s = lanes.load(sin + i);
      lanes.store(x + i, E::sub(E::mul(a, c), E::mul(b, s)));
      lanes.store(y + i, E::add(E::mul(b, c), E::mul(a, s)));
    });
  }

  static void swiglu(float* gate, const float* up, size_t n) {
    const F one = E::all(1.0F);
    for_vectors(n, [&](size_t i, auto lanes) {
      const F g = lanes.load(gate + i);
      const F silu = E::div(g, E::add(one, E::exp(E::sub(E::all(0.0F), g))));
      lanes.store(gate + i, E::mul(silu, lanes.load(up + i)));
    });
  }

  /// gelu(x) = x / (1 + exp(-2 u)), u = sqrt(2/pi) (x + 0.044715 x^3): the same as with tanh(u).
  static void geglu(float* gate, const float* up, size_t n) {
    const F one = E::all(1.0F), cubic = E::all(0.044715F), root = E::all(-2 * 0.79788456F);
    for_vectors(n, [&](size_t i, auto lanes) {
      const F g = lanes.load(gate + i);
      const F inner = E::fma(E::mul(cubic, E::mul(g, g)), g, g);
      const F gelu = E::div(g, E::add(one, E::exp(E::mul(root, inner))));
      lanes.store(gate + i, E::mul(gelu, lanes.load(up + i)));
    });
  }

  static void add(float* x, const float* y, size_t n) {
    for_vectors(
        n, [&](size_t i, auto lanes) { lanes.store(x + i, E::add(lanes.load(x + i), lanes.load(y + i))); });
  }

  static void softmax(float* x, size_t n) {
    if (n == 0) return;
    F most = E::all(x[0]);
    for_vectors(n, [&](size_t i, auto lanes) {
      most = E::max(most, lanes.choose(lanes.load(x + i), -__builtin_inff()));
    });
    const F largest = E::all(E::max_of(most));
    F total = E::all(0.0F);
    for_vectors(n, [&](size_t i, auto lanes) {
      const F e = E::exp(E::sub(lanes.load(x + i), largest));
      total = E::add(total, lanes.choose(e, 0.0F));
      lanes.store(x + i, e);
    });
    const F share = E::all(1.0F / E::sum_of(total));
    for_vectors(n, [&](size_t i, auto lanes) { lanes.store(x + i, E::mul(lanes.load(x + i), share)); });
  }

  static void f32_to_f16(const float* x, uint16_t* y, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) N::to_halves(y + i, N::load(x + i));
    if (i == n) return;
    float from[4] = {};
    uint16_t to[4];
    memcpy(from, x + i, (n - i) * sizeof(float));
    N::to_halves(to, N::load(from));
    memcpy(y + i, to, (n - i) * sizeof(uint16_t));
  }

  static void f16_to_f32(const uint16_t* x, float* y, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) N::store(y + i, N::from_halves(x + i));
    if (i == n) return;
    uint16_t from[4] = {};
    float to[4];
    memcpy(from, x + i, (n - i) * sizeof(uint16_t));
    N::store(to, N::from_halves(from));
    memcpy(y + i, to, (n - i) * sizeof(float));
  }
};

}  // namespace bantam::kernels::simd128
