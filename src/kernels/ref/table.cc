#include "kernels/ref/ref.h"

namespace bantam::kernels::ref {

const Table& table() {
  static constexpr Table kTable{
      .name = "ref",
      .matmul = matmul,
      .lanes = 0,
      .panels = [](tensor::DType) -> const PanelKernels* { return nullptr; },
      .pack_panel_blocks = nullptr,
      .pack_panel_supers = nullptr,
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
      .int8_work = nullptr,
  };
  return kTable;
}

}  // namespace bantam::kernels::ref
