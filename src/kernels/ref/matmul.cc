#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ref/ref.h"
#include "tensor/half.h"

namespace bantam::kernels::ref {
namespace {

using tensor::BlockQ4_0;
using tensor::BlockQ8_0;

template <class T>
T load(const std::byte* at) {  // rows of a mapped file may start anywhere
  T out;
  std::memcpy(&out, at, sizeof(T));
  return out;
}

const std::byte* weight_row(const Product& p, size_t i) {
  return p.weights + (p.rows != nullptr ? static_cast<size_t>(p.rows[i]) : i) * p.row_bytes;
}

/// Products with floats add in double, which makes them the better half of any comparison.
template <class Element, class ToFloat>
void matmul_floats(const Product& p, ToFloat to_float) {
  for (size_t i = p.begin; i < p.end; ++i) {
    const std::byte* w = weight_row(p, i);
    for (size_t t = 0; t < p.tokens; ++t) {
      double sum = 0;
      for (size_t c = 0; c < p.columns; ++c) {
        sum +=
            static_cast<double>(to_float(load<Element>(w + c * sizeof(Element)))) * p.x[t * p.x_stride + c];
      }
      p.y[t * p.y_stride + i - p.begin] = static_cast<float>(sum);
    }
  }
}

int32_t weight_at(const BlockQ8_0& block, size_t c) { return block.q[c]; }
int32_t weight_at(const BlockQ4_0& block, size_t c) {
  const uint8_t both = block.q[c % (kBlock / 2)];
  return static_cast<int32_t>(c < kBlock / 2 ? both & 15 : both >> 4) - 8;
}

/// Block by block: sum = fma(weight scale * activation scale, integer dot product, sum). Every instruction
/// set computes exactly this, so the results agree in every bit.
template <class Block>
void matmul_blocks(const Product& p) {
  const size_t blocks = p.columns / kBlock, tiled = p.tokens - p.single_rows;
  for (size_t i = p.begin; i < p.end; ++i) {
    const std::byte* w = weight_row(p, i);
    for (size_t t = 0; t < p.tokens; ++t) {
      float sum = 0;
      for (size_t b = 0; b < blocks; ++b) {
        const auto block = load<Block>(w + b * sizeof(Block));
        const ActivationTile* tile = t < tiled ? &p.tiles[t / kTileRows * blocks + b] : nullptr;
        const ActivationBlock* single = t < tiled ? nullptr : &p.blocks[(t - tiled) * blocks + b];
        int32_t dot = 0;
        for (size_t c = 0; c < kBlock; ++c) {
          dot +=
              weight_at(block, c) * (tile != nullptr ? tile->q[c / 4][t % kTileRows][c % 4] : single->q[c]);
        }
        const float scale = tile != nullptr ? tile->scale[t % kTileRows] : single->scale;
        sum = std::fma(tensor::half_to_float(block.scale) * scale, static_cast<float>(dot), sum);
      }
      p.y[t * p.y_stride + i - p.begin] = sum;
    }
  }
}

/// The nearest integer, ties to even; NaN, which only broken weights can produce, gives 0.
int8_t quantum(float x) {
  return std::isnan(x) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(std::clamp(x, -127.0F, 127.0F)));
}

ActivationBlock pack_block(const float* x) {
  ActivationBlock out{};
  float amax = 0;
  for (size_t c = 0; c < kBlock; ++c) amax = std::max(amax, std::fabs(x[c]));
  out.scale = tensor::half_to_float(tensor::float_to_half(amax / 127.0F));
  if (out.scale == 0) return out;
  const float inverse = 127.0F / amax;
  for (size_t c = 0; c < kBlock; ++c) {
    out.q[c] = quantum(x[c] * inverse);
    out.sum += out.q[c];
  }
  return out;
}

}  // namespace

void matmul_f32(const Product& p) {
  matmul_floats<float>(p, [](float w) { return w; });
}
void matmul_f16(const Product& p) { matmul_floats<uint16_t>(p, tensor::half_to_float); }
void matmul_q8_0(const Product& p) { matmul_blocks<BlockQ8_0>(p); }
void matmul_q4_0(const Product& p) { matmul_blocks<BlockQ4_0>(p); }

void pack_blocks(const float* x, size_t blocks, ActivationBlock* out) {
  for (size_t b = 0; b < blocks; ++b) out[b] = pack_block(x + b * kBlock);
}

void pack_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles) {
  for (size_t b = 0; b < blocks; ++b) {
    tiles[b] = ActivationTile{};
    for (size_t t = 0; t < rows; ++t) {
      const ActivationBlock row = pack_block(x + t * x_stride + b * kBlock);
      for (size_t c = 0; c < kBlock; ++c) tiles[b].q[c / 4][t][c % 4] = row.q[c];
      tiles[b].scale[t] = row.scale;
      tiles[b].sum[t] = row.sum;
    }
  }
}

}  // namespace bantam::kernels::ref
