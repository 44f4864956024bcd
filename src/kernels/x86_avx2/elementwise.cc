#include "kernels/x86_avx2/avx2.h"
#include "kernels/x86_avx2/simd.h"

namespace bantam::kernels::x86_avx2 {
namespace {

struct Whole {
  __m256 load(const float* at) const { return _mm256_loadu_ps(at); }
  void store(float* at, __m256 v) const { _mm256_storeu_ps(at, v); }
  __m256 choose(__m256 v, __m256) const { return v; }
};

/// The first lanes of a vector; masked stores are slow on some machines, so only the last vector of an array
/// is one of these.
struct Part {
  __m256i mask;
  __m256 load(const float* at) const { return _mm256_maskload_ps(at, mask); }
  void store(float* at, __m256 v) const { _mm256_maskstore_ps(at, mask, v); }
  __m256 choose(__m256 v, __m256 other) const {
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(mask));
  }
};

/// Calls body(offset, lanes) for whole vectors of 8 and then for the rest. lanes.choose(v, other) is v in the
/// lanes that count.
template <class Body>
inline void for_vectors(size_t n, Body body) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) body(i, Whole{});
  if (i < n) body(i, Part{lane_mask(n - i)});
}

}  // namespace

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) {
  __m256 squares = _mm256_setzero_ps();
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 v = lanes.load(x + i);
    squares = _mm256_fmadd_ps(v, v, squares);
  });
  const __m256 mean = _mm256_set1_ps(sum_of(squares) / static_cast<float>(n) + eps);
  const __m256 scale = _mm256_div_ps(_mm256_set1_ps(1.0F), _mm256_sqrt_ps(mean));
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 v = _mm256_mul_ps(lanes.load(x + i), scale);
    lanes.store(y + i, _mm256_mul_ps(v, lanes.load(weight + i)));
  });
}

void rope_interleaved(float* x, const float* cos, const float* sin, size_t head_dim) {
  const __m256i pair = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
  size_t i = 0;
  for (; i + 8 <= head_dim; i += 8) {
    const __m256 c = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(cos + i / 2)), pair);
    const __m256 s = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(sin + i / 2)), pair);
    const __m256 v = _mm256_loadu_ps(x + i);
    const __m256 swapped = _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), s);
    _mm256_storeu_ps(x + i, _mm256_addsub_ps(_mm256_mul_ps(v, c), swapped));
  }
  for (; i + 2 <= head_dim; i += 2) {
    const float a = x[i], b = x[i + 1], c = cos[i / 2], s = sin[i / 2];
    x[i] = a * c - b * s;
    x[i + 1] = b * c + a * s;
  }
}

void rope_half(float* x, const float* cos, const float* sin, size_t head_dim) {
  float* y = x + head_dim / 2;
  for_vectors(head_dim / 2, [&](size_t i, auto lanes) {
    const __m256 a = lanes.load(x + i), b = lanes.load(y + i);
    const __m256 c = lanes.load(cos + i), s = lanes.load(sin + i);
    lanes.store(x + i, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
    lanes.store(y + i, _mm256_add_ps(_mm256_mul_ps(b, c), _mm256_mul_ps(a, s)));
  });
}

void swiglu(float* gate, const float* up, size_t n) {
  const __m256 one = _mm256_set1_ps(1.0F);
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 g = lanes.load(gate + i);
    const __m256 e = exp_of(_mm256_sub_ps(_mm256_setzero_ps(), g));
    const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, e));
    lanes.store(gate + i, _mm256_mul_ps(silu, lanes.load(up + i)));
  });
}

/// gelu(x) = x / (1 + exp(-2 u)), u = sqrt(2/pi) (x + 0.044715 x^3): the same as with tanh(u).
void geglu(float* gate, const float* up, size_t n) {
  const __m256 one = _mm256_set1_ps(1.0F), cubic = _mm256_set1_ps(0.044715F);
  const __m256 root = _mm256_set1_ps(-2 * 0.79788456F);
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 g = lanes.load(gate + i);
    const __m256 inner = _mm256_fmadd_ps(_mm256_mul_ps(cubic, _mm256_mul_ps(g, g)), g, g);
    const __m256 gelu = _mm256_div_ps(g, _mm256_add_ps(one, exp_of(_mm256_mul_ps(root, inner))));
    lanes.store(gate + i, _mm256_mul_ps(gelu, lanes.load(up + i)));
  });
}

void add(float* x, const float* y, size_t n) {
  for_vectors(n, [&](size_t i, auto lanes) {
    lanes.store(x + i, _mm256_add_ps(lanes.load(x + i), lanes.load(y + i)));
  });
}

void softmax(float* x, size_t n) {
  if (n == 0) return;
  __m256 most = _mm256_set1_ps(x[0]);
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 v = lanes.load(x + i);
    most = _mm256_max_ps(most, lanes.choose(v, most));
  });
  const __m256 largest = _mm256_set1_ps(max_of(most));
  __m256 total = _mm256_setzero_ps();
  for_vectors(n, [&](size_t i, auto lanes) {
    const __m256 e = exp_of(_mm256_sub_ps(lanes.load(x + i), largest));
    total = _mm256_add_ps(total, lanes.choose(e, _mm256_setzero_ps()));
    lanes.store(x + i, e);
  });
  const __m256 share = _mm256_set1_ps(1.0F / sum_of(total));
  for_vectors(n, [&](size_t i, auto lanes) { lanes.store(x + i, _mm256_mul_ps(lanes.load(x + i), share)); });
}

void f32_to_f16(const float* x, uint16_t* y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  for (; i < n; ++i) y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

void f16_to_f32(const uint16_t* x, float* y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
  }
  for (; i < n; ++i) y[i] = half_at(x + i);
}

}  // namespace bantam::kernels::x86_avx2
