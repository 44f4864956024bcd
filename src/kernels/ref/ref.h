#pragma once
// The scalar kernels: slow, plain, and the oracle that every other instruction set is tested against. They
// stay.

#include "kernels/table.h"

namespace bantam::kernels::ref {

Matmul matmul(tensor::DType type);
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

}  // namespace bantam::kernels::ref
