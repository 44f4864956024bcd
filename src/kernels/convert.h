#pragma once
// Rows of stored matrices from and to floats.

#include <cstddef>

#include "kernels/table.h"
#include "tensor/dtype.h"

namespace bantam::kernels {

/// out[columns] = the values of a stored row, exactly. `columns` is whole blocks; `row` need not be aligned.
void dequantize_row(const Table& table, tensor::DType type, const std::byte* row, size_t columns, float* out);

/// Stores x[columns] as `type`. F16 and BF16 round to nearest even. Q8_0 and Q4_0 round as the format's
/// reference implementation (ggml) does: Q8_0 scale = amax / 127, q = x / scale to the nearest integer,
/// halves away from zero; Q4_0 scale = m / -8 with m the value of largest magnitude (the first of equals), q
/// = min(15, trunc(x / scale + 8.5)); the scale is stored as binary16, but q comes from the unrounded one.
/// The others search for scales (and minima) that make the weighted squared error small, each weight's being
/// 1 + |x| / rms times `importance` of its column (mean squared activations, for one; null: all 1). REQUIRES:
/// x finite, `columns` whole blocks.
void quantize_row(tensor::DType type, const float* x, size_t columns, std::byte* out,
                  const float* importance = nullptr);

}  // namespace bantam::kernels
