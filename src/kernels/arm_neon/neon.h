#pragma once
// The kernels for 64-bit ARM. What all such processors have is `neon`; products of int8 come a second and a
// third time, for the dot product (FEAT_DotProd) and matrix product (FEAT_I8MM) instructions. See table.h for
// what each computes; results have the bits of x86_avx2's.

#include "kernels/table.h"

namespace bantam::kernels::arm_neon {

/// The product with a quantised type; null for others.
Matmul quantised_plain(tensor::DType type);
Matmul quantised_dotprod(tensor::DType type);
Matmul quantised_i8mm(tensor::DType type);
/// F32, F16, BF16; null for others.
Matmul float_product(tensor::DType type);

}  // namespace bantam::kernels::arm_neon
