// Products with panels (panels.h) of Q8_0, Q4_0 and Q5_0. A block's 32 products are added as integers,
// exactly; then sum = fma(weight scale * activation scale, dot, sum), block after block, as in ref: equal in
// every bit. vpdpbusd wants the weights unsigned: all are taken as multiples of their scale above -128
// (Q4_0's 16 at a time, Q5_0's 8, whose scales are that much smaller: exact), and what the activations add up
// to 128 times is where the sums begin.

#include "kernels/x86_avx512/avx512.h"
#include "kernels/x86_avx512/panel_tools.h"

namespace bantam::kernels::x86_avx512 {
namespace {

/// A block of a panel taken apart: the weights of four columns in each vector, and the scales.
struct Unpacked {
  __m512i w[8];
  __m512 scale;
};
static_assert(sizeof(Unpacked) == 576);

struct Q8_0 {
  static constexpr size_t kBytes = 16 * sizeof(tensor::BlockQ8_0);
  static inline void unpack(const std::byte* at, Unpacked& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) out.w[i] = load64(at + 64 * i);
    out.scale = halves(at + 512);
  }
};

struct Q4_0 {
  static constexpr size_t kBytes = 16 * sizeof(tensor::BlockQ4_0);
  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m512i upper = bytes_of(0xf0);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i both = load64(at + 64 * i);
      out.w[i] = _mm512_and_si512(_mm512_slli_epi16(both, 4), upper);
      out.w[i + 4] = _mm512_and_si512(both, upper);
    }
    out.scale = _mm512_mul_ps(halves(at + 256), _mm512_set1_ps(1.0F / 16));
  }
};

struct Q5_0 {
  static constexpr size_t kBytes = 16 * sizeof(tensor::BlockQ5_0);
  /// Bit i of every byte as its bit 7.
  template <int i>
  static inline __m512i fifth(__m512i bits) {
    return i == 7 ? bits : _mm512_slli_epi16(bits, 7 - i);
  }
  template <int i>
  static inline void quad(const std::byte* at, __m512i bits, Unpacked& out) {
    const __m512i upper = bytes_of(0xf8), top = bytes_of(0x80);
    const __m512i both = load64(at + 64 * i);
    out.w[i] = _mm512_and_si512(pick(_mm512_slli_epi16(both, 3), fifth<i>(bits), top), upper);
    out.w[i + 4] = _mm512_and_si512(pick(_mm512_srli_epi16(both, 1), fifth<i + 4>(bits), top), upper);
  }
  static inline void unpack(const std::byte* at, Unpacked& out) {
    const __m512i bits = load64(at + 256);
    quad<0>(at, bits, out);
    quad<1>(at, bits, out);
    quad<2>(at, bits, out);
    quad<3>(at, bits, out);
    out.scale = _mm512_mul_ps(halves(at + 320), _mm512_set1_ps(1.0F / 8));
  }
};

/// One panel by one row of activations.
template <class W>
void single(const PanelProduct& p, size_t panel) {
  const std::byte* at = p.panels + panel * p.panel_bytes;
  const auto* x = static_cast<const PanelBlock*>(p.x);
  __m512 sum = _mm512_setzero_ps();
  for (size_t b = 0; b < p.columns / tensor::kBlock; ++b, at += W::kBytes, ++x) {
    prefetch_ahead<W::kBytes>(at);
    Unpacked block;
    W::unpack(at, block);
    __m512i dot = _mm512_set1_epi32(x->offset), more = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      dot = _mm512_dpbusd_epi32(dot, block.w[i], every(x->q + 4 * i));
      more = _mm512_dpbusd_epi32(more, block.w[i + 1], every(x->q + 4 * i + 4));
    }
    const __m512 both = _mm512_mul_ps(block.scale, _mm512_set1_ps(x->scale));
    sum = _mm512_fmadd_ps(both, _mm512_cvtepi32_ps(_mm512_add_epi32(dot, more)), sum);
  }
  store_rows(p, panel, 0, sum);
}

/// P panels, taken apart and `stride` blocks after each other, by T rows of activations from row t on.
template <int P, int T>
void tile(const PanelProduct& p, const Unpacked* w, size_t stride, size_t panel, size_t t) {
  const size_t blocks = p.columns / tensor::kBlock;
  const PanelBlock* x = static_cast<const PanelBlock*>(p.x) + t * blocks;
  __m512 sum[P][T];
  for (auto& row : sum) {
    for (auto& s : row) s = _mm512_setzero_ps();
  }
  for (size_t b = 0; b < blocks; ++b, x += T) {
    __m512i dot[P][T];
#pragma GCC unroll 12
    for (int u = 0; u < T; ++u) {
      const __m512i offset = _mm512_set1_epi32(x[u].offset);
#pragma GCC unroll 2
      for (int k = 0; k < P; ++k) dot[k][u] = offset;
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      __m512i wi[P];
#pragma GCC unroll 2
      for (int k = 0; k < P; ++k) wi[k] = w[k * stride + b].w[i];
#pragma GCC unroll 12
      for (int u = 0; u < T; ++u) {
        const __m512i four = every(x[u].q + 4 * i);
#pragma GCC unroll 2
        for (int k = 0; k < P; ++k) dot[k][u] = _mm512_dpbusd_epi32(dot[k][u], wi[k], four);
      }
    }
#pragma GCC unroll 12
    for (int u = 0; u < T; ++u) {
      const __m512 scale = _mm512_set1_ps(x[u].scale);
#pragma GCC unroll 2
      for (int k = 0; k < P; ++k) {
        const __m512 both = _mm512_mul_ps(w[k * stride + b].scale, scale);
        sum[k][u] = _mm512_fmadd_ps(both, _mm512_cvtepi32_ps(dot[k][u]), sum[k][u]);
      }
    }
  }
#pragma GCC unroll 2
  for (int k = 0; k < P; ++k) {
#pragma GCC unroll 12
    for (int u = 0; u < T; ++u) store_rows(p, panel + k, t + u, sum[k][u]);
  }
}

template <int T>
void tiles(const PanelProduct& p, const Unpacked* w, size_t begin, size_t end, size_t t) {
  const size_t blocks = p.columns / tensor::kBlock;
  size_t panel = begin;
  for (; panel + 2 <= end; panel += 2, w += 2 * blocks) tile<2, T>(p, w, blocks, panel, t);
  if (panel < end) tile<1, T>(p, w, blocks, panel, t);
}

template <class W>
void multiply(const PanelProduct& p) {
  if (p.tokens == 1) {
    for (size_t panel = p.begin; panel < p.end; ++panel) single<W>(p, panel);
    return;
  }
  const size_t blocks = p.columns / tensor::kBlock;
  const size_t at_once = panels_at_once(p, blocks * sizeof(Unpacked));
  auto* scratch = reinterpret_cast<Unpacked*>(p.scratch);
  for (size_t begin = p.begin; begin < p.end; begin += at_once) {
    const size_t end = p.end - begin < at_once ? p.end : begin + at_once;
    Unpacked* to = scratch;
    for (size_t panel = begin; panel < end; ++panel) {
      const std::byte* at = p.panels + panel * p.panel_bytes;
      for (size_t b = 0; b < blocks; ++b, at += W::kBytes) W::unpack(at, *to++);
    }
    for_groups(p.tokens, [&](auto rows, size_t t) { tiles<rows.value>(p, scratch, begin, end, t); });
  }
}

size_t scratch_bytes(size_t columns) { return columns / tensor::kBlock * sizeof(Unpacked); }

}  // namespace

const PanelKernels* block_panels(tensor::DType type) {
  static constexpr PanelKernels kQ8_0{multiply<Q8_0>, scratch_bytes}, kQ4_0{multiply<Q4_0>, scratch_bytes},
      kQ5_0{multiply<Q5_0>, scratch_bytes};
  switch (type) {
    case tensor::DType::kQ8_0:
      return &kQ8_0;
    case tensor::DType::kQ4_0:
      return &kQ4_0;
    case tensor::DType::kQ5_0:
      return &kQ5_0;
    default:
      return nullptr;
  }
}

/// scale = amax / 127 through binary16, q = x * 127 / amax to the nearest integer, as Table::pack_blocks.
void pack_panel_blocks(const float* x, size_t blocks, PanelBlock* out, size_t step) {
  for (size_t b = 0; b < blocks; ++b, x += tensor::kBlock, out += step) {
    const __m512 first = _mm512_loadu_ps(x), second = _mm512_loadu_ps(x + 16);
    const float amax = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(first), _mm512_abs_ps(second)));
    out->scale = _cvtsh_ss(_cvtss_sh(amax / 127.0F, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    // != with NaN is true: q is then what the conversion of a NaN gives, and of no use but safe.
    const __m512 inverse = _mm512_set1_ps(out->scale != 0 ? 127.0F / amax : 0.0F);
    out->offset = -128 * put_bytes(first, second, inverse, out->q);
  }
}

uint64_t int8_work(uint64_t rounds) {
  constexpr int kChains = 12;
  __m512i sum[kChains];
  for (auto& s : sum) s = _mm512_setzero_si512();
  const __m512i w = bytes_of(3), x = bytes_of(1);
  for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (auto& s : sum) {
      s = _mm512_dpbusd_epi32(s, w, x);
      asm("" : "+v"(s));  // each for itself
    }
  }
  for (auto& s : sum) asm volatile("" : : "v"(s));
  return rounds * kChains * 64;
}

}  // namespace bantam::kernels::x86_avx512
