#include "kernels/x86_avx2/avx2.h"

namespace bantam::kernels::x86_avx2 {

Matmul matmul(tensor::DType type) {
  using tensor::DType;
  switch (type) {
    case DType::kF32:
      return matmul_f32;
    case DType::kF16:
      return matmul_f16;
    case DType::kBF16:
      return matmul_bf16;
    case DType::kQ8_0:
      return matmul_q8_0;
    case DType::kQ4_0:
      return matmul_q4_0;
    default:
      return matmul_quanta(type);
  }
}

const Table& table() {
  static constexpr Table kTable{
      .name = "avx2",
      .matmul = matmul,
      .lanes = 8,
      .panels = panels,
      .pack_panel_blocks = pack_panel_blocks,
      .pack_panel_supers = pack_panel_supers,
      .pack_tiles = pack_tiles,
      .pack_blocks = pack_blocks,
      .pack_super_tiles = pack_super_tiles,
      .pack_super_blocks = pack_super_blocks,
      .rms_norm = rms_norm,
      .rope_interleaved = rope_interleaved,
      .rope_half = rope_half,
      .swiglu = swiglu,
      .geglu = geglu,
      .add = add,
      .softmax = softmax,
      .attention_f32 = attention_f32,
      .attention_f16 = attention_f16,
      .attention_q8_0 = attention_q8_0,
      .f32_to_f16 = f32_to_f16,
      .f16_to_f32 = f16_to_f32,
      .int8_work = int8_work,
  };
  return kTable;
}

}  // namespace bantam::kernels::x86_avx2
