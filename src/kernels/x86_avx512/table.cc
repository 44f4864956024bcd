#include "kernels/x86_avx512/avx512.h"

namespace bantam::kernels::x86_avx512 {
namespace {

const PanelKernels* panels(tensor::DType type) {
  const PanelKernels* block = block_panels(type);
  return block != nullptr ? block : super_panels(type);
}

}  // namespace

const Table& table() {
  // This machine has AVX2 too (dispatch.cc).
  static const Table kTable = [] {
    Table out = x86_avx2::table();
    out.name = "avx512";
    out.lanes = 16;
    out.panels = panels;
    out.pack_panel_blocks = pack_panel_blocks;
    out.pack_panel_supers = pack_panel_supers;
    out.int8_work = int8_work;
    out.attention_f32 = attention_f32;
    out.attention_f16 = attention_f16;
    out.attention_q8_0 = attention_q8_0;
    return out;
  }();
  return kTable;
}

}  // namespace bantam::kernels::x86_avx512
