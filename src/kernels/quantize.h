#pragma once
// Blocks from floats, a function per layout. x and w (the weights of the errors) have as many values as the
// block. What is stored is what fits best once the scales are rounded too.

#include "tensor/blocks.h"

namespace bantam::kernels {

void quantize(const float* x, const float* w, tensor::BlockQ4_1& block);
void quantize(const float* x, const float* w, tensor::BlockQ5_0& block);
void quantize(const float* x, const float* w, tensor::BlockQ5_1& block);
void quantize(const float* x, const float* w, tensor::BlockIQ4_NL& block);
void quantize(const float* x, const float* w, tensor::BlockQ2_K& block);
void quantize(const float* x, const float* w, tensor::BlockQ3_K& block);
void quantize(const float* x, const float* w, tensor::BlockQ4_K& block);
void quantize(const float* x, const float* w, tensor::BlockQ5_K& block);
void quantize(const float* x, const float* w, tensor::BlockQ6_K& block);
void quantize(const float* x, const float* w, tensor::BlockIQ4_XS& block);
void quantize(const float* x, const float* w, tensor::BlockTQ1_0& block);
void quantize(const float* x, const float* w, tensor::BlockTQ2_0& block);

}  // namespace bantam::kernels
