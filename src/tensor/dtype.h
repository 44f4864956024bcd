#pragma once
// Element types of stored matrices and how their bytes are laid out. The layouts are the ones of the GGUF
// file, so that a mapped file is computed on in place; they do not depend on the computing machine.

#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"

namespace bantam::tensor {

using DType = formats::GgmlType;

/// Elements in one block of a quantised row.
inline constexpr size_t kBlock = 32;

/// 32 elements as x[i] = scale * q[i].
struct BlockQ8_0 {
  uint16_t scale;  // IEEE binary16
  int8_t q[kBlock];
};
static_assert(sizeof(BlockQ8_0) == 34 && alignof(BlockQ8_0) == 2);

/// 32 elements as x[i] = scale * (n[i] - 8), n in 0..15. q[i] holds n[i] in its low half and n[i + 16] in its
/// high half.
struct BlockQ4_0 {
  uint16_t scale;  // IEEE binary16
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockQ4_0) == 18 && alignof(BlockQ4_0) == 2);

/// Elements that are stored together: 32 for the quantised types, else 1.
constexpr size_t block_elements(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0 ? kBlock : 1;
}

/// Bytes of one block.
constexpr size_t block_bytes(DType type) {
  switch (type) {
    case DType::kF32:
      return 4;
    case DType::kF16:
      return 2;
    case DType::kQ8_0:
      return sizeof(BlockQ8_0);
    case DType::kQ4_0:
      return sizeof(BlockQ4_0);
  }
  return 0;
}

/// Bytes of a row of `columns` elements, which must be whole blocks.
constexpr size_t row_bytes(DType type, size_t columns) {
  return columns / block_elements(type) * block_bytes(type);
}

}  // namespace bantam::tensor
