#pragma once
// The kernels for AVX-512 with VNNI (F, BW, VL, VNNI). What does not gain from it is x86_avx2's. See table.h
// and panels.h for what each computes.

#include "kernels/panels.h"
#include "kernels/table.h"

namespace bantam::kernels::x86_avx512 {

const PanelKernels* block_panels(tensor::DType type);  // null for other types
const PanelKernels* super_panels(tensor::DType type);
void attention_f32(const Attention& a);
void attention_f16(const Attention& a);
void attention_q8_0(const Attention& a);
void pack_panel_blocks(const float* x, size_t blocks, PanelBlock* out, size_t step);
void pack_panel_supers(const float* x, size_t supers, PanelSuper* out, size_t step);
uint64_t int8_work(uint64_t rounds);

}  // namespace bantam::kernels::x86_avx512
