#pragma once
// A view says where a matrix is and what it looks like; Storage (storage.h) owns bytes. Copying a view copies
// no data.

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace bantam::tensor {

/// A read-only matrix [rows, columns] in row-major order, rows one after the other without gaps. The data
/// need not be aligned. Valid as long as what owns the bytes (a mapped file or a Storage).
struct MatrixView {
  DType type = DType::kF32;
  size_t rows = 0;
  size_t columns = 0;
  const std::byte* data = nullptr;
  /// The same once more with rows interleaved, where there is such a copy (kernels/panels.h).
  const std::byte* panels = nullptr;

  size_t row_bytes() const { return tensor::row_bytes(type, columns); }
  size_t bytes() const { return rows * row_bytes(); }
  const std::byte* row(size_t index) const { return data + index * row_bytes(); }
};

}  // namespace bantam::tensor
