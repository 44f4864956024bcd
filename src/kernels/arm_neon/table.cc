#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"
#include "kernels/simd128/elementwise.h"
#include "kernels/simd128/pack.h"

namespace bantam::kernels::arm_neon {
namespace {

template <Matmul (*quantised)(tensor::DType)>
Matmul matmul(tensor::DType type) {
  const Matmul product = float_product(type);
  return product != nullptr ? product : quantised(type);
}

template <Matmul (*quantised)(tensor::DType)>
constexpr Table make(const char* name) {
  using simd128::Elementwise, simd128::Pack;
  return {
      .name = name,
      .matmul = matmul<quantised>,
      .lanes = 0,  // rows are read as they lie
      .panels = [](tensor::DType) -> const PanelKernels* { return nullptr; },
      .pack_panel_blocks = nullptr,
      .pack_panel_supers = nullptr,
      .pack_tiles = Pack<Neon>::tiles,
      .pack_blocks = Pack<Neon>::blocks,
      .pack_super_tiles = Pack<Neon>::super_tiles,
      .pack_super_blocks = Pack<Neon>::super_blocks,
      .rms_norm = Elementwise<Neon>::rms_norm,
      .rope_interleaved = Elementwise<Neon>::rope_interleaved,
      .rope_half = Elementwise<Neon>::rope_half,
      .swiglu = Elementwise<Neon>::swiglu,
      .geglu = Elementwise<Neon>::geglu,
      .add = Elementwise<Neon>::add,
      .softmax = Elementwise<Neon>::softmax,
      .attention_f32 = attention_f32,
      .attention_f16 = attention_f16,
      .attention_q8_0 = attention_q8_0,
      .f32_to_f16 = Elementwise<Neon>::f32_to_f16,
      .f16_to_f32 = Elementwise<Neon>::f16_to_f32,
      .int8_work = nullptr,
  };
}

}  // namespace

const Table& plain() {
  static constexpr Table kTable = make<quantised_plain>("neon");
  return kTable;
}
const Table& dotprod() {
  static constexpr Table kTable = make<quantised_dotprod>("neon_dotprod");
  return kTable;
}
const Table& i8mm() {
  static constexpr Table kTable = make<quantised_i8mm>("neon_i8mm");
  return kTable;
}

}  // namespace bantam::kernels::arm_neon
