#pragma once
// Loops over single rows of float32 that training spends its time in beside matrix products. The compiler
// vectorises them, for AVX2 where the machine has it. Private to train/; the references are the same formulas
// as LibTorch operations (ops.cc), which other devices use.

#include <cstdint>

namespace bantam::train::rows {

float max(const float* x, int64_t n);  // n >= 1
float dot(const float* x, const float* y, int64_t n);
/// x[i] = exp(x[i] - shift), relative error below 3e-7; returns the sum. REQUIRES x[i] - shift <= 88.
float exp_minus(float* x, float shift, int64_t n);
void scale(float* x, float by, int64_t n);
void add_scaled(float* x, const float* y, float by, int64_t n);  // x += by * y

/// Softmax's backward pass on one row: d[i] = p[i] * (d[i] - mean), mean = sum p d.
void softmax_backward(const float* p, float* d, float mean, int64_t n);

/// y = silu(gate) * up (Shazeer 2020).
void swiglu(const float* gate, const float* up, float* y, int64_t n);
void swiglu_backward(const float* dy, const float* gate, const float* up, float* dgate, float* dup,
                     int64_t n);

/// y = x * weight / sqrt(mean(x^2) + eps); returns 1 / sqrt(...).
float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n);
/// dx is written, dweight added to.
void rms_norm_backward(const float* dy, const float* x, const float* weight, float inverse, float* dx,
                       float* dweight, int64_t n);

/// y[i] = x[i] * by where the hash of (seed, first + i) is at least `threshold`, else 0; y may be x.
void dropout(const float* x, float* y, uint32_t seed, uint32_t first, uint32_t threshold, float by,
             int64_t n);

/// Turns pairs (2i, 2i+1) by the angles whose cosine and sine are given, and multiplies by `by`; sign = -1
/// turns back. y may be x.
void rope(const float* x, const float* cosine, const float* sine, float sign, float by, float* y,
          int64_t pairs);

}  // namespace bantam::train::rows
