#pragma once
// The best small integers for a few floats: what quantisation comes down to. Plain weighted least squares; no
// candidate is better by the format's rules than by its error.

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bantam::kernels {

/// The nearest integer in lo .. hi, ties to even; lo for what is not a number. REQUIRES: |lo|, |hi| < 2^22.
inline float round_to(float x, float lo, float hi) {
  constexpr float kMagic = 0x1.8p23F;  // adding it leaves no room for a fraction
  x = x > lo ? x : lo;                 // lo for NaN, and vectorises
  x = x < hi ? x : hi;
  return x + kMagic - kMagic;
}

/// Values lo .. hi.
struct Line {
  float lo, hi;
  float nearest(float x) const { return round_to(x, lo, hi); }
  /// How far from zero the values reach, and how fine the search about it is.
  float reach() const { return std::fmax(-lo, hi); }
  float step() const { return 0.1F; }
};

/// x ~ scale * q - min, min >= 0.
struct Affine {
  float scale = 0, min = 0;
};

/// sum of w * (x - y)^2.
inline double squares(const float* x, const float* w, const float* y, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += w[i] * (x[i] - y[i]) * (x[i] - y[i]);
  return sum;
}

/// The scale s and, in q, the values of `grid` that make the sum of w * (x - s q)^2 small: a search over the
/// scales that bring the largest value to the grid's end or somewhat beyond, each followed by the
/// least-squares scale of its q. `from` and `to` bound the search, in grid steps from the grid's end. Both
/// signs are tried.
template <class Grid>
float fit_scale(const Grid& grid, const float* x, const float* w, size_t n, float from, float to, float* q) {
  float amax = 0;
  for (size_t i = 0; i < n; ++i) amax = std::fmax(amax, std::fabs(x[i]));
  for (size_t i = 0; i < n; ++i) q[i] = 0;
  if (!(amax > 1e-30F && amax < 1e30F)) return 0;  // nothing, or beyond what squares can hold
  float best = 0, scale = 0, inverse = 0;
  const auto consider = [&](float candidate) {
    float xq = 0, qq = 0;
    for (size_t i = 0; i < n; ++i) {
      const float v = grid.nearest(x[i] * candidate);
      xq += w[i] * x[i] * v;
      qq += w[i] * v * v;
    }
    // The error is sum(w x^2) - xq^2 / qq.
    if (qq > 0 && xq * xq > best * qq) {
      best = xq * xq / qq;
      scale = xq / qq;
      inverse = candidate;
    }
  };
  for (float t = from; t <= to; t += grid.step()) {
    const float candidate = (grid.reach() + t) / amax;
    consider(candidate);
    consider(-candidate);
  }
  if (scale != 0) consider(1 / scale);
  for (size_t i = 0; i < n; ++i) q[i] = grid.nearest(x[i] * inverse);
  return scale;
}

/// The same for x ~ scale * q - min with q in 0 .. hi.
Affine fit_affine(const float* x, const float* w, size_t n, float hi, float* q);

/// The weights of the fits: the magnitude of the values, evened out by their root mean square, times the
/// caller's importance of each column (none: all 1).
void error_weights(const float* x, const float* importance, size_t n, float* w);

}  // namespace bantam::kernels
