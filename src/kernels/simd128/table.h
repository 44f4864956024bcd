#pragma once
// The table of an instruction set with vectors of 128 bits; see eight.h for N.

#include "kernels/simd128/attention.h"
#include "kernels/simd128/elementwise.h"
#include "kernels/simd128/pack.h"
#include "kernels/table.h"

namespace bantam::kernels::simd128 {

template <class N>
constexpr Table make_table(const char* name, Matmul (*matmul)(tensor::DType)) {
  return {
      .name = name,
      .matmul = matmul,
      .lanes = 0,  // rows are read as they lie
      .panels = [](tensor::DType) -> const PanelKernels* { return nullptr; },
      .pack_panel_blocks = nullptr,
      .pack_panel_supers = nullptr,
      .pack_tiles = Pack<N>::tiles,
      .pack_blocks = Pack<N>::blocks,
      .pack_super_tiles = Pack<N>::super_tiles,
      .pack_super_blocks = Pack<N>::super_blocks,
      .rms_norm = Elementwise<N>::rms_norm,
      .rope_interleaved = Elementwise<N>::rope_interleaved,
      .rope_half = Elementwise<N>::rope_half,
      .swiglu = Elementwise<N>::swiglu,
      .geglu = Elementwise<N>::geglu,
      .add = Elementwise<N>::add,
      .softmax = Elementwise<N>::softmax,
      .attention_f32 = attention_f32<N>,
      .attention_f16 = attention_f16<N>,
      .attention_q8_0 = attention_q8_0<N>,
      .f32_to_f16 = Elementwise<N>::f32_to_f16,
      .f16_to_f32 = Elementwise<N>::f16_to_f32,
      .int8_work = nullptr,
  };
}

}  // namespace bantam::kernels::simd128
