#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"
#include "kernels/simd128/floats.h"
#include "kernels/simd128/products.h"

namespace bantam::kernels::arm_neon {

Matmul quantised_plain(tensor::DType type) {
  return simd128::quantised_product<Neon, simd128::Plain<Neon>>(type);
}

Matmul float_product(tensor::DType type) { return simd128::float_product<Neon>(type); }

}  // namespace bantam::kernels::arm_neon
