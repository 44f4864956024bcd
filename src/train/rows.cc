#include "train/rows.h"

#include <cmath>

// One copy for machines with AVX2 and one for the rest, chosen by the loader.
#define BANTAM_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))

namespace bantam::train::rows {
namespace {

/// exp(x) = 2^n exp(r), |r| <= ln(2)/2, by its Taylor series to r^7; 0 below -87.3, exp(88) above 88.
[[gnu::always_inline]] inline float exp_of(float x) {
  const float limited = x < -87.3F ? -87.3F : (x > 88.0F ? 88.0F : x);
  const float n = std::floor(limited * 1.44269504F + 0.5F);
  float r = limited - n * 0x1.62ep-1F;  // ln(2) in two parts: the first has few enough bits for n times it
  r = r - n * 0x1.0bfbe8p-15F;          // to be exact
  float y = 1.0F / 5040;
  y = y * r + 1.0F / 720;
  y = y * r + 1.0F / 120;
  y = y * r + 1.0F / 24;
  y = y * r + 1.0F / 6;
  y = y * r + 0.5F;
  y = y * r + 1.0F;
  y = y * r + 1.0F;
  const auto power = __builtin_bit_cast(float, (static_cast<int32_t>(n) + 127) << 23);
  return x < -87.3F ? 0.0F : y * power;
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.0F / (1.0F + exp_of(-x)); }

}  // namespace

BANTAM_CLONES float max(const float* x, int64_t n) {
  float m = x[0];
#pragma omp simd reduction(max : m)
  for (int64_t i = 1; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

BANTAM_CLONES float dot(const float* x, const float* y, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

BANTAM_CLONES float exp_minus(float* x, float shift, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    x[i] = exp_of(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

BANTAM_CLONES void scale(float* x, float by, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= by;
}

BANTAM_CLONES void add_scaled(float* x, const float* y, float by, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += by * y[i];
}

BANTAM_CLONES void softmax_backward(const float* p, float* d, float mean, int64_t n) {
  for (int64_t i = 0; i < n; ++i) d[i] = p[i] * (d[i] - mean);
}

BANTAM_CLONES void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

BANTAM_CLONES void swiglu_backward(const float* dy, const float* gate, const float* up, float* dgate,
                                   float* dup, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid(gate[i]), d = dy[i];
    dup[i] = d * gate[i] * s;
    dgate[i] = d * up[i] * s * (1.0F + gate[i] * (1.0F - s));
  }
}

BANTAM_CLONES float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; ++i) squares += x[i] * x[i];
  const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * inverse * weight[i];
  return inverse;
}

BANTAM_CLONES void rms_norm_backward(const float* dy, const float* x, const float* weight, float inverse,
                                     float* dx, float* dweight, int64_t n) {
  float along = 0;
#pragma omp simd reduction(+ : along)
  for (int64_t i = 0; i < n; ++i) along += dy[i] * weight[i] * x[i];
  const float back = along * inverse * inverse / static_cast<float>(n);
  for (int64_t i = 0; i < n; ++i) {
    dweight[i] += dy[i] * x[i] * inverse;
    dx[i] = inverse * (dy[i] * weight[i] - x[i] * back);
  }
}

BANTAM_CLONES void dropout(const float* x, float* y, uint32_t seed, uint32_t first, uint32_t threshold,
                           float by, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t h = (first + static_cast<uint32_t>(i)) * 0x9e3779b9U ^ seed;
    h = (h ^ h >> 16) * 0x7feb352dU;
    h = (h ^ h >> 15) * 0x846ca68bU;
    h ^= h >> 16;
    // By the upper 31 bits: signed comparisons are what AVX2 has.
    y[i] = static_cast<int32_t>(h >> 1) >= static_cast<int32_t>(threshold >> 1) ? x[i] * by : 0.0F;
  }
}

BANTAM_CLONES void rope(const float* x, const float* cosine, const float* sine, float sign, float by,
                        float* y, int64_t pairs) {
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], c = cosine[i] * by, s = sine[i] * sign * by;
    y[2 * i] = a * c - b * s;
    y[2 * i + 1] = a * s + b * c;
  }
}

}  // namespace bantam::train::rows
