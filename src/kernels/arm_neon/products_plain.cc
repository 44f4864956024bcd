#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"
#include "kernels/simd128/floats.h"
#include "kernels/simd128/products.h"

namespace bantam::kernels::arm_neon {

Matmul quantised_plain(tensor::DType type) {
  return simd128::quantised_product<Neon, simd128::Plain<Neon>>(type);
}

Matmul float_product(tensor::DType type) {
  using tensor::DType;
  using Product = simd128::FloatProduct<Neon>;
  switch (type) {
    case DType::kF32:
      return Product::run<Product::F32>;
    case DType::kF16:
      return Product::run<Product::F16>;
    case DType::kBF16:
      return Product::run<Product::BF16>;
    default:
      return nullptr;
  }
}

}  // namespace bantam::kernels::arm_neon
