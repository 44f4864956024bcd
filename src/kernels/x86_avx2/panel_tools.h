#pragma once
// Shared by the products with panels of 8 rows; internal linkage as in simd.h.

#include "kernels/panels.h"
#include "kernels/x86_avx2/block_tools.h"
#include "kernels/x86_avx2/quanta.h"

namespace bantam::kernels::x86_avx2 {

/// Asks for what follows a few blocks later: the machine's own prefetching stops at the ends of pages.
template <size_t bytes>
[[maybe_unused]] static inline void prefetch_ahead(const std::byte* at) {
  constexpr size_t kAhead = 2048;
#pragma GCC unroll 64
  for (size_t line = 0; line < bytes; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(at + kAhead + line), _MM_HINT_T0);
}

/// 8 binary16 as floats.
[[maybe_unused]] static inline __m256 halves_at(const void* at) { return _mm256_cvtph_ps(load16(at)); }

/// The sums of 8 rows by row t of the activations.
[[maybe_unused]] static inline void store_rows(const PanelProduct& p, size_t panel, size_t t, __m256 sum) {
  const size_t row = panel * 8, left = p.rows - row;
  float* y = p.y + t * p.y_stride + row;
  if (left >= 8) {
    _mm256_storeu_ps(y, sum);
  } else {
    _mm256_maskstore_ps(y, lane_mask(left), sum);
  }
}

/// How many panels, `bytes` each when taken apart, are so kept at a time.
[[maybe_unused]] static inline size_t panels_at_once(const PanelProduct& p, size_t bytes) {
  const size_t fit = bytes == 0 ? 1 : p.scratch_bytes / bytes;
  return fit == 0 ? 1 : fit;
}

template <int n>
struct Rows {
  static constexpr int value = n;
};

/// Calls f(Rows<n>, first row) for the groups of activation rows.
template <class F>
[[maybe_unused]] static inline void for_groups(size_t tokens, F f) {
  size_t t = 0;
  for (; t + kGroupRows <= tokens; t += kGroupRows) f(Rows<kGroupRows>{}, t);
  for (; t < tokens; t += group_rows(tokens - t)) {
    switch (group_rows(tokens - t)) {
      case 8:
        f(Rows<8>{}, t);
        break;
      case 4:
        f(Rows<4>{}, t);
        break;
      case 2:
        f(Rows<2>{}, t);
        break;
      default:
        f(Rows<1>{}, t);
    }
  }
}

/// The products of all panels with all rows of activations. W says how a type's blocks are taken apart and
/// meet T of the G rows of a group, which lie side by side.
template <class W>
void multiply_panels(const PanelProduct& p) {
  const size_t units = p.columns / W::kElements;
  const auto* x = static_cast<const typename W::Activations*>(p.x);
  if (p.tokens == 1) {
    for (size_t panel = p.begin; panel < p.end; ++panel) {
      const std::byte* at = p.panels + panel * p.panel_bytes;
      __m256 sum[1] = {_mm256_setzero_ps()};
      for (size_t u = 0; u < units; ++u, at += W::kBytes) {
        prefetch_ahead<W::kBytes>(at);
        typename W::Unpacked block;
        W::unpack(at, block);
        W::template meet<1>(block, x + u, sum);
      }
      store_rows(p, panel, 0, sum[0]);
    }
    return;
  }
  const size_t at_once = panels_at_once(p, units * sizeof(typename W::Unpacked));
  auto* scratch = reinterpret_cast<typename W::Unpacked*>(p.scratch);
  for (size_t begin = p.begin; begin < p.end; begin += at_once) {
    const size_t end = p.end - begin < at_once ? p.end : begin + at_once;
    auto* to = scratch;
    for (size_t panel = begin; panel < end; ++panel) {
      const std::byte* at = p.panels + panel * p.panel_bytes;
      for (size_t u = 0; u < units; ++u, at += W::kBytes) W::unpack(at, *to++);
    }
    for_groups(p.tokens, [&](auto rows, size_t t) {
      constexpr int kGroup = rows.value, kTile = kGroup < W::kTile ? kGroup : W::kTile;
      static_assert(kGroup % kTile == 0);
      for (size_t panel = begin; panel < end; ++panel) {
        for (int part = 0; part < kGroup; part += kTile) {
          const typename W::Unpacked* w = scratch + (panel - begin) * units;
          const typename W::Activations* xs = x + t * units + part;
          __m256 sum[kTile];
          for (auto& s : sum) s = _mm256_setzero_ps();
          for (size_t u = 0; u < units; ++u, ++w, xs += kGroup) W::template meet<kTile>(*w, xs, sum);
#pragma GCC unroll 12
          for (int k = 0; k < kTile; ++k) store_rows(p, panel, t + part + k, sum[k]);
        }
      }
    });
  }
}

template <class W>
size_t scratch_of(size_t columns) {
  return columns / W::kElements * sizeof(typename W::Unpacked);
}

template <class W>
inline constexpr PanelKernels kPanelKernels{multiply_panels<W>, scratch_of<W>};

}  // namespace bantam::kernels::x86_avx2
