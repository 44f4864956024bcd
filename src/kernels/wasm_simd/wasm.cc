// The kernels for WebAssembly with SIMD128. Quantised products are ref's in every bit but where simd.h says;
// what adds floats is within the bounds of kernels_test.

#include "kernels/simd128/floats.h"
#include "kernels/simd128/products.h"
#include "kernels/simd128/table.h"
#include "kernels/wasm_simd/simd.h"

namespace bantam::kernels::wasm_simd {
namespace {

Matmul matmul(tensor::DType type) {
  const Matmul product = simd128::float_product<Wasm>(type);
  return product != nullptr ? product : simd128::quantised_product<Wasm, simd128::Plain<Wasm>>(type);
}

}  // namespace

const Table& table() {
  static constexpr Table kTable = simd128::make_table<Wasm>("wasm_simd", matmul);
  return kTable;
}

}  // namespace bantam::kernels::wasm_simd
