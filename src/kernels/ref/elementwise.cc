#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/ref/ref.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace bantam::kernels::ref {
namespace {

void rotate(float& a, float& b, float cos, float sin) {
  const float x = a, y = b;
  a = x * cos - y * sin;
  b = x * sin + y * cos;
}

float channel(const float* row, size_t c) { return row[c]; }
float channel(const uint16_t* row, size_t c) { return tensor::half_to_float(row[c]); }
float channel(const tensor::BlockQ8_0* row, size_t c) {
  const auto& block = row[c / tensor::kBlock];
  return tensor::half_to_float(block.scale) * static_cast<float>(block.q[c % tensor::kBlock]);
}

/// Straight from the definition: all scores, then the softmax, then the weighted sum, in double.
template <class Element>
void attention(const Attention& a) {
  const size_t row_bytes = sizeof(Element) == sizeof(tensor::BlockQ8_0) ? a.kv_stride / tensor::kBlock * sizeof(Element)
                                                                        : a.kv_stride * sizeof(Element);
  const auto row = [&](size_t at, size_t j) {
    return reinterpret_cast<const Element*>(a.pages[j / kKeyTile] + at + j % kKeyTile * row_bytes);
  };
  for (size_t t = 0; t < a.queries; ++t) {
    const size_t end = size_t{a.positions[t]} + 1,
                 first = a.window > 0 && end > a.window ? end - a.window : 0;
    const size_t seen = end - first;
    std::vector<double> weight(seen);
    for (size_t j = 0; j < seen; ++j) {
      for (size_t c = 0; c < a.head_dim; ++c) {
        weight[j] += static_cast<double>(a.q[t * a.q_stride + c]) * channel(row(a.keys, first + j), c);
      }
      weight[j] *= a.scale;
      if (a.softcap > 0) weight[j] = a.softcap * std::tanh(weight[j] / a.softcap);
    }
    const double largest = *std::max_element(weight.begin(), weight.end());
    double total = 0;
    for (double& w : weight) total += w = std::exp(w - largest);
    for (size_t c = 0; c < a.head_dim; ++c) {
      double sum = 0;
      for (size_t j = 0; j < seen; ++j) sum += weight[j] * channel(row(a.values, first + j), c);
      a.out[t * a.out_stride + c] = static_cast<float>(sum / total);
    }
  }
}

/// Head by head.
template <class Element>
void attention_of_group(Attention a) {
  for (size_t head = 0; head < a.group; ++head, a.q += a.head_dim, a.out += a.head_dim) attention<Element>(a);
}

}  // namespace

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) {
  double squares = 0;
  for (size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto scale = static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps));
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void rope_interleaved(float* x, const float* cos, const float* sin, size_t head_dim) {
  for (size_t i = 0; i < head_dim / 2; ++i) rotate(x[2 * i], x[2 * i + 1], cos[i], sin[i]);
}

void rope_half(float* x, const float* cos, const float* sin, size_t head_dim) {
  for (size_t i = 0; i < head_dim / 2; ++i) rotate(x[i], x[i + head_dim / 2], cos[i], sin[i]);
}

void swiglu(float* gate, const float* up, size_t n) {
  for (size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

void geglu(float* gate, const float* up, size_t n) {
  constexpr float kRoot = 0.79788456F;  // sqrt(2 / pi)
  for (size_t i = 0; i < n; ++i) {
    const float g = gate[i];
    gate[i] = 0.5F * g * (1.0F + std::tanh(kRoot * (g + 0.044715F * g * g * g))) * up[i];
  }
}

void add(float* x, const float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] += y[i];
}

void softmax(float* x, size_t n) {
  if (n == 0) return;
  const float largest = *std::max_element(x, x + n);
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += x[i] = std::exp(x[i] - largest);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(x[i] / total);
}

void attention_f32(const Attention& a) { attention_of_group<float>(a); }
void attention_f16(const Attention& a) { attention_of_group<uint16_t>(a); }
void attention_q8_0(const Attention& a) { attention_of_group<tensor::BlockQ8_0>(a); }

void f32_to_f16(const float* x, uint16_t* y, size_t n) { std::transform(x, x + n, y, tensor::float_to_half); }
void f16_to_f32(const uint16_t* x, float* y, size_t n) { std::transform(x, x + n, y, tensor::half_to_float); }

}  // namespace bantam::kernels::ref
