#include "kernels/simd128/table.h"

#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"

namespace bantam::kernels::arm_neon {
namespace {

template <Matmul (*quantised)(tensor::DType)>
Matmul matmul(tensor::DType type) {
  const Matmul product = float_product(type);
  return product != nullptr ? product : quantised(type);
}

}  // namespace

const Table& plain() {
  static constexpr Table kTable = simd128::make_table<Neon>("neon", matmul<quantised_plain>);
  return kTable;
}
const Table& dotprod() {
  static constexpr Table kTable = simd128::make_table<Neon>("neon_dotprod", matmul<quantised_dotprod>);
  return kTable;
}
const Table& i8mm() {
  static constexpr Table kTable = simd128::make_table<Neon>("neon_i8mm", matmul<quantised_i8mm>);
  return kTable;
}

}  // namespace bantam::kernels::arm_neon
