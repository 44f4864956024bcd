#pragma once
// Element types of stored matrices. Their bytes (blocks.h) are the ones of the GGUF file, so that a mapped
// file is computed on in place; they do not depend on the computing machine.

#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"
#include "tensor/blocks.h"

namespace bantam::tensor {

using DType = formats::GgmlType;

/// How many elements are stored together, in how many bytes.
struct BlockSize {
  size_t elements, bytes;
};

constexpr BlockSize block_size(DType type) {
  switch (type) {
    case DType::kF32:
      return {1, 4};
    case DType::kF16:
    case DType::kBF16:
      return {1, 2};
    case DType::kQ4_0:
      return {kBlock, sizeof(BlockQ4_0)};
    case DType::kQ4_1:
      return {kBlock, sizeof(BlockQ4_1)};
    case DType::kQ5_0:
      return {kBlock, sizeof(BlockQ5_0)};
    case DType::kQ5_1:
      return {kBlock, sizeof(BlockQ5_1)};
    case DType::kQ8_0:
      return {kBlock, sizeof(BlockQ8_0)};
    case DType::kIQ4_NL:
      return {kBlock, sizeof(BlockIQ4_NL)};
    case DType::kQ2_K:
      return {kSuperBlock, sizeof(BlockQ2_K)};
    case DType::kQ3_K:
      return {kSuperBlock, sizeof(BlockQ3_K)};
    case DType::kQ4_K:
      return {kSuperBlock, sizeof(BlockQ4_K)};
    case DType::kQ5_K:
      return {kSuperBlock, sizeof(BlockQ5_K)};
    case DType::kQ6_K:
      return {kSuperBlock, sizeof(BlockQ6_K)};
    case DType::kIQ4_XS:
      return {kSuperBlock, sizeof(BlockIQ4_XS)};
    case DType::kTQ1_0:
      return {kSuperBlock, sizeof(BlockTQ1_0)};
    case DType::kTQ2_0:
      return {kSuperBlock, sizeof(BlockTQ2_0)};
  }
  return {1, 0};
}

/// Elements that are stored together: 32 or 256 for the quantised types, else 1.
constexpr size_t block_elements(DType type) { return block_size(type).elements; }

/// Bytes of one block.
constexpr size_t block_bytes(DType type) { return block_size(type).bytes; }

/// Bytes of a row of `columns` elements, which must be whole blocks.
constexpr size_t row_bytes(DType type, size_t columns) {
  return columns / block_elements(type) * block_bytes(type);
}

}  // namespace bantam::tensor
