#pragma once
// Quantised matrices with their rows interleaved, the form in which products are fastest: panels of as many
// rows as a vector has 32-bit lanes, in which the same four columns of all rows lie side by side. Four bytes
// of an activation row, in every lane, meet them, so that nothing is ever added across lanes, a matrix is one
// stream of memory, and the blocks' scales are vectors too.
//
// A panel takes exactly the bytes that its rows take in the file; the last one is filled up with zeros.

#include <cstddef>
#include <cstdint>

#include "tensor/blocks.h"
#include "tensor/dtype.h"

namespace bantam::kernels {

/// Rows of activations that a product takes at once: they lie block by block, so many rows side by side. The
/// rows left over lie so in groups of 8, 4, 2 and 1.
inline constexpr size_t kGroupRows = 12;

/// The rows of the group that begins where `left` rows are left.
static constexpr size_t group_rows(size_t left) {  // internal linkage: see x86_avx512/simd.h
  for (size_t rows : {kGroupRows, size_t{8}, size_t{4}, size_t{2}}) {
    if (left >= rows) return rows;
  }
  return 1;
}

/// 32 columns of a row of activations, x = scale * q, as Rounding::kBlock rounds them.
struct PanelBlock {
  int8_t q[tensor::kBlock];
  float scale;
  int32_t offset;  // -128 * sum of q
};

/// 256 columns, as Rounding::kSuper rounds them.
struct PanelSuper {
  int8_t q[tensor::kSuperBlock];
  float scale;
  int16_t sums[tensor::kSuperBlock / 32];    // of each 32 q
  int16_t halves[tensor::kSuperBlock / 16];  // of each 16
  int32_t offsets[tensor::kSuperBlock / 8];  // -32 * sum of each 8 q
};

/// y[t * y_stride + i] = dot(x row t, weight row i) for the rows i of the panels begin <= i / lanes < end,
/// i < rows, and t < tokens.
struct PanelProduct {
  const std::byte* panels;
  size_t lanes, panel_bytes;
  size_t begin, end;
  size_t rows, columns;
  const void* x;  // PanelBlock or PanelSuper, in groups of rows
  size_t tokens;
  float* y;
  size_t y_stride;
  std::byte* scratch;  // 64-byte aligned, scratch_bytes
  size_t scratch_bytes;
};

/// What an instruction set has for the panels of one type.
struct PanelKernels {
  void (*multiply)(const PanelProduct&);
  /// Bytes of one panel taken apart, for products of several rows of activations; 0: none are needed.
  size_t (*scratch_bytes)(size_t columns);
};

/// Whether there is a panel form of a type.
bool has_panels(tensor::DType type);
/// Bytes of one panel of `lanes` (8 or 16) rows.
size_t panel_bytes(tensor::DType type, size_t lanes, size_t columns);
/// Interleaves `count` (at most `lanes`) stored rows, `row_bytes` apart, into one panel.
void make_panel(tensor::DType type, size_t lanes, const std::byte* rows, size_t row_bytes, size_t count,
                size_t columns, std::byte* out);

}  // namespace bantam::kernels
