#include "kernels/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/fit.h"
#include "kernels/quantize.h"
#include "kernels/ref/quanta.h"
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

void round_block(const float* x, BlockQ8_0& block) {
  float amax = 0;
  for (size_t c = 0; c < kBlock; ++c) amax = std::max(amax, std::fabs(x[c]));
  const float scale = amax / 127.0F, inverse = scale != 0 ? 1.0F / scale : 0.0F;
  block.scale = tensor::float_to_half(scale);
  // 1 / scale overflows where every value is below 2^-121; such a block's binary16 scale is zero anyway.
  const bool tiny = !std::isfinite(inverse);
  for (size_t c = 0; c < kBlock; ++c)
    block.q[c] = tiny ? int8_t{0} : static_cast<int8_t>(std::round(x[c] * inverse));
}

void round_block(const float* x, BlockQ4_0& block) {
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
    round_block(x + c, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

template <class Block>
void dequantize_quanta(const std::byte* row, size_t columns, float* out) {
  constexpr size_t kElements = ref::Layout<Block>::kElements;
  Quanta quanta;
  for (size_t c = 0; c < columns; c += kElements, row += sizeof(Block)) {
    ref::unpack_at<Block>(row, quanta);
    const float scale = tensor::half_to_float(quanta.scale);
    const float min = ref::Layout<Block>::kHasMin ? tensor::half_to_float(quanta.min) : 0.0F;
    for (size_t i = 0; i < kElements; ++i) {
      const float value = scale * static_cast<float>(quanta.scales[i / 16]) * static_cast<float>(quanta.q[i]);
      out[c + i] =
          ref::Layout<Block>::kHasMin ? value - min * static_cast<float>(quanta.mins[i / 16]) : value;
    }
  }
}

template <class Block>
void fit_blocks(const float* x, const float* importance, size_t columns, std::byte* out) {
  constexpr size_t kElements = ref::Layout<Block>::kElements;
  float weights[kElements];
  for (size_t c = 0; c < columns; c += kElements, out += sizeof(Block)) {
    error_weights(x + c, importance != nullptr ? importance + c : nullptr, kElements, weights);
    Block block;
    quantize(x + c, weights, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

template <class Narrow>
void narrow_row(const float* x, size_t columns, std::byte* out, Narrow narrow) {
  for (size_t c = 0; c < columns; ++c) {
    const uint16_t value = narrow(x[c]);
    std::memcpy(out + c * sizeof(value), &value, sizeof(value));
  }
}

/// Calls f.operator()<Block>() for the types that come apart into Quanta.
template <class F>
void with_block(DType type, F f) {
  switch (type) {
    case DType::kQ4_1:
      return f.template operator()<tensor::BlockQ4_1>();
    case DType::kQ5_0:
      return f.template operator()<tensor::BlockQ5_0>();
    case DType::kQ5_1:
      return f.template operator()<tensor::BlockQ5_1>();
    case DType::kIQ4_NL:
      return f.template operator()<tensor::BlockIQ4_NL>();
    case DType::kQ2_K:
      return f.template operator()<tensor::BlockQ2_K>();
    case DType::kQ3_K:
      return f.template operator()<tensor::BlockQ3_K>();
    case DType::kQ4_K:
      return f.template operator()<tensor::BlockQ4_K>();
    case DType::kQ5_K:
      return f.template operator()<tensor::BlockQ5_K>();
    case DType::kQ6_K:
      return f.template operator()<tensor::BlockQ6_K>();
    case DType::kIQ4_XS:
      return f.template operator()<tensor::BlockIQ4_XS>();
    case DType::kTQ1_0:
      return f.template operator()<tensor::BlockTQ1_0>();
    case DType::kTQ2_0:
      return f.template operator()<tensor::BlockTQ2_0>();
    default:
      return;
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
    case DType::kBF16:
      for (size_t c = 0; c < columns; ++c)
        out[c] = tensor::bfloat_to_float(load<uint16_t>(row + c * sizeof(uint16_t)));
      return;
    case DType::kQ8_0:
      return dequantize_blocks<BlockQ8_0>(row, columns, out);
    case DType::kQ4_0:
      return dequantize_blocks<BlockQ4_0>(row, columns, out);
    default:
      with_block(type, [&]<class Block>() { dequantize_quanta<Block>(row, columns, out); });
  }
}

void quantize_row(DType type, const float* x, size_t columns, std::byte* out, const float* importance) {
  if (columns == 0) return;  // pointers may be null then, which memcpy does not take
  switch (type) {
    case DType::kF32:
      std::memcpy(out, x, columns * sizeof(float));
      return;
    case DType::kF16:
      return narrow_row(x, columns, out, tensor::float_to_half);
    case DType::kBF16:
      return narrow_row(x, columns, out, tensor::float_to_bfloat);
    case DType::kQ8_0:
      return quantize_blocks<BlockQ8_0>(x, columns, out);
    case DType::kQ4_0:
      return quantize_blocks<BlockQ4_0>(x, columns, out);
    default:
      with_block(type, [&]<class Block>() { fit_blocks<Block>(x, importance, columns, out); });
  }
}

}  // namespace bantam::kernels
