#pragma once
// What every quantised type but Q8_0 and Q4_0 (which have kernels of their own) comes down to: small
// integers, with integer scales and minima for each 16 of them, and two floats.

#include <cstddef>
#include <cstdint>

#include "tensor/blocks.h"
#include "tensor/dtype.h"

namespace bantam::kernels {

/// One block (32 or 256 elements): x[c] = (scale * scales[c / 16]) * q[c] - min * mins[c / 16].
struct Quanta {
  alignas(32) int8_t q[tensor::kSuperBlock];
  alignas(32) int16_t scales[tensor::kSuperBlock / 16];
  alignas(32) int16_t mins[tensor::kSuperBlock / 16];
  uint16_t scale, min;  // binary16
};

/// How activations are rounded before they meet a type.
enum class Rounding : uint8_t {
  kNone,   // not at all
  kBlock,  // one scale for 32 columns, as ggml's Q8_0
  kSuper   // one scale for 256 columns, as ggml's Q8_K: integers add up over the whole super-block
};

constexpr Rounding rounding_for(tensor::DType type) {
  switch (tensor::block_elements(type)) {
    case tensor::kBlock:
      return Rounding::kBlock;
    case tensor::kSuperBlock:
      return Rounding::kSuper;
    default:
      return Rounding::kNone;
  }
}

}  // namespace bantam::kernels
