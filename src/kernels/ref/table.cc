#include "kernels/ref/ref.h"

namespace bantam::kernels::ref {

const Table& table() {
  static constexpr Table kTable{
      .name = "ref",
      .matmul_f32 = matmul_f32,
      .matmul_f16 = matmul_f16,
      .matmul_q8_0 = matmul_q8_0,
      .matmul_q4_0 = matmul_q4_0,
      .pack_tiles = pack_tiles,
      .pack_blocks = pack_blocks,
      .rms_norm = rms_norm,
      .rope_interleaved = rope_interleaved,
      .rope_half = rope_half,
      .swiglu = swiglu,
      .add = add,
      .softmax = softmax,
      .attention_f32 = attention_f32,
      .attention_f16 = attention_f16,
      .f32_to_f16 = f32_to_f16,
      .f16_to_f32 = f16_to_f32,
  };
  return kTable;
}

}  // namespace bantam::kernels::ref
