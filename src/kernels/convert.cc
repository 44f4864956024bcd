#include "kernels/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/half.h"

namespace bantam::kernels {
namespace {

using tensor::BlockQ4_0;
using tensor::BlockQ8_0;
using tensor::DType;

template <class Block>
Block load(const std::byte* at) {
  Block out;
  std::memcpy(&out, at, sizeof(out));
  return out;
}

void dequantize(const BlockQ8_0& block, float* out) {
  const float scale = tensor::half_to_float(block.scale);
  for (size_t c = 0; c < kBlock; ++c) out[c] = scale * static_cast<float>(block.q[c]);
}

void dequantize(const BlockQ4_0& block, float* out) {
  const float scale = tensor::half_to_float(block.scale);
  for (size_t c = 0; c < kBlock / 2; ++c) {
    out[c] = scale * static_cast<float>((block.q[c] & 15) - 8);
    out[c + kBlock / 2] = scale * static_cast<float>((block.q[c] >> 4) - 8);
  }
}

template <class Block>
void dequantize_blocks(const std::byte* row, size_t columns, float* out) {
  for (size_t c = 0; c < columns; c += kBlock, row += sizeof(Block)) dequantize(load<Block>(row), out + c);
}

void quantize(const float* x, BlockQ8_0& block) {
  float amax = 0;
  for (size_t c = 0; c < kBlock; ++c) amax = std::max(amax, std::fabs(x[c]));
  const float scale = amax / 127.0F, inverse = scale != 0 ? 1.0F / scale : 0.0F;
  block.scale = tensor::float_to_half(scale);
  // 1 / scale overflows where every value is below 2^-121; such a block's binary16 scale is zero anyway.
  const bool tiny = !std::isfinite(inverse);
  for (size_t c = 0; c < kBlock; ++c)
    block.q[c] = tiny ? int8_t{0} : static_cast<int8_t>(std::round(x[c] * inverse));
}

void quantize(const float* x, BlockQ4_0& block) {
  float most = 0;
  for (size_t c = 0; c < kBlock; ++c) {
    if (std::fabs(x[c]) > std::fabs(most)) most = x[c];
  }
  const float scale = most / -8.0F;
  const float whole = scale != 0 ? 1.0F / scale : 0.0F, inverse = std::isfinite(whole) ? whole : 0.0F;
  block.scale = tensor::float_to_half(scale);
  const auto nibble = [inverse](float value) {
    return std::min<uint8_t>(15, static_cast<uint8_t>(value * inverse + 8.5F));
  };
  for (size_t c = 0; c < kBlock / 2; ++c) {
    block.q[c] = static_cast<uint8_t>(nibble(x[c]) | (nibble(x[c + kBlock / 2]) << 4));
  }
}

template <class Block>
void quantize_blocks(const float* x, size_t columns, std::byte* out) {
  for (size_t c = 0; c < columns; c += kBlock, out += sizeof(Block)) {
    Block block;
    quantize(x + c, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

}  // namespace

void dequantize_row(const Table& table, DType type, const std::byte* row, size_t columns, float* out) {
  if (columns == 0) return;  // pointers may be null then, which memcpy does not take
  switch (type) {
    case DType::kF32:
      std::memcpy(out, row, columns * sizeof(float));
      return;
    case DType::kF16:
      table.f16_to_f32(reinterpret_cast<const uint16_t*>(row), out, columns);
      return;
    case DType::kQ8_0:
      return dequantize_blocks<BlockQ8_0>(row, columns, out);
    case DType::kQ4_0:
      return dequantize_blocks<BlockQ4_0>(row, columns, out);
  }
}

void quantize_row(DType type, const float* x, size_t columns, std::byte* out) {
  if (columns == 0) return;  // pointers may be null then, which memcpy does not take
  switch (type) {
    case DType::kF32:
      std::memcpy(out, x, columns * sizeof(float));
      return;
    case DType::kF16:
      for (size_t c = 0; c < columns; ++c) {
        const uint16_t half = tensor::float_to_half(x[c]);
        std::memcpy(out + c * sizeof(half), &half, sizeof(half));
      }
      return;
    case DType::kQ8_0:
      return quantize_blocks<BlockQ8_0>(x, columns, out);
    case DType::kQ4_0:
      return quantize_blocks<BlockQ4_0>(x, columns, out);
  }
}

}  // namespace bantam::kernels
