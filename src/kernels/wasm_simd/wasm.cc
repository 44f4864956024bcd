// The kernels for WebAssembly with SIMD128. Quantised products are ref's in every bit but where simd.h says;
// what adds floats is within the bounds of kernels_test.

#include "kernels/simd128/attention.h"
#include "kernels/simd128/elementwise.h"
#include "kernels/simd128/floats.h"
#include "kernels/simd128/pack.h"
#include "kernels/simd128/products.h"
#include "kernels/wasm_simd/simd.h"

namespace bantam::kernels::wasm_simd {
namespace {

Matmul matmul(tensor::DType type) {
  using tensor::DType;
  using Floats = simd128::FloatProduct<Wasm>;
  switch (type) {
    case DType::kF32:
      return Floats::run<Floats::F32>;
    case DType::kF16:
      return Floats::run<Floats::F16>;
    case DType::kBF16:
      return Floats::run<Floats::BF16>;
    default:
      return simd128::quantised_product<Wasm, simd128::Plain<Wasm>>(type);
  }
}

using simd128::Elementwise, simd128::Pack;

}  // namespace

const Table& table() {
  static constexpr Table kTable{
      .name = "wasm_simd",
      .matmul = matmul,
      .lanes = 0,  // rows are read as they lie
      .panels = [](tensor::DType) -> const PanelKernels* { return nullptr; },
      .pack_panel_blocks = nullptr,
      .pack_panel_supers = nullptr,
      .pack_tiles = Pack<Wasm>::tiles,
      .pack_blocks = Pack<Wasm>::blocks,
      .pack_super_tiles = Pack<Wasm>::super_tiles,
      .pack_super_blocks = Pack<Wasm>::super_blocks,
      .rms_norm = Elementwise<Wasm>::rms_norm,
      .rope_interleaved = Elementwise<Wasm>::rope_interleaved,
      .rope_half = Elementwise<Wasm>::rope_half,
      .swiglu = Elementwise<Wasm>::swiglu,
      .geglu = Elementwise<Wasm>::geglu,
      .add = Elementwise<Wasm>::add,
      .softmax = Elementwise<Wasm>::softmax,
      .attention_f32 = simd128::attention_f32<Wasm>,
      .attention_f16 = simd128::attention_f16<Wasm>,
      .attention_q8_0 = simd128::attention_q8_0<Wasm>,
      .f32_to_f16 = Elementwise<Wasm>::f32_to_f16,
      .f16_to_f32 = Elementwise<Wasm>::f16_to_f32,
      .int8_work = nullptr,
  };
  return kTable;
}

}  // namespace bantam::kernels::wasm_simd
