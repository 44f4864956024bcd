#pragma once
// The kernels for AVX2 with FMA and F16C. See table.h for what each computes.

#include "kernels/table.h"

namespace bantam::kernels::x86_avx2 {

Matmul matmul(tensor::DType type);
void matmul_f32(const Product& p);
void matmul_f16(const Product& p);
void matmul_bf16(const Product& p);
void matmul_q8_0(const Product& p);
void matmul_q4_0(const Product& p);
/// For the types that come apart into Quanta (quanta.h).
Matmul matmul_quanta(tensor::DType type);
/// Of panels.h; 8 rows each.
const PanelKernels* panels(tensor::DType type);
void pack_panel_blocks(const float* x, size_t blocks, PanelBlock* out, size_t step);
void pack_panel_supers(const float* x, size_t supers, PanelSuper* out, size_t step);
void pack_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles);
void pack_blocks(const float* x, size_t blocks, ActivationBlock* out);
void pack_super_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles);
void pack_super_blocks(const float* x, size_t blocks, ActivationBlock* out);
void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y);
void rope_interleaved(float* x, const float* cos, const float* sin, size_t head_dim);
void rope_half(float* x, const float* cos, const float* sin, size_t head_dim);
void swiglu(float* gate, const float* up, size_t n);
void geglu(float* gate, const float* up, size_t n);
void add(float* x, const float* y, size_t n);
void softmax(float* x, size_t n);
void attention_f32(const Attention& a);
void attention_f16(const Attention& a);
void attention_q8_0(const Attention& a);
void f32_to_f16(const float* x, uint16_t* y, size_t n);
void f16_to_f32(const uint16_t* x, float* y, size_t n);
uint64_t int8_work(uint64_t rounds);

}  // namespace bantam::kernels::x86_avx2
