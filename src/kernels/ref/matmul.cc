#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/ref/quanta.h"
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

/// Activation `c` of token t, and the scale and the sum of the 32 that it is among.
struct Activation {
  const Product& p;
  size_t t, blocks = p.columns / kBlock, tiled = p.tokens - p.single_rows;

  const ActivationTile& tile(size_t b) const { return p.tiles[t / kTileRows * blocks + b]; }
  const ActivationBlock& single(size_t b) const { return p.blocks[(t - tiled) * blocks + b]; }
  int32_t q(size_t c) const {
    const size_t b = c / kBlock, i = c % kBlock;
    return t < tiled ? tile(b).q[i / 4][t % kTileRows][i % 4] : single(b).q[i];
  }
  float scale(size_t c) const {
    return t < tiled ? tile(c / kBlock).scale[t % kTileRows] : single(c / kBlock).scale;
  }
};

/// Block by block: sum = fma(weight scale * activation scale, integer dot product, sum). Every instruction
/// set computes exactly this, so the results agree in every bit.
template <class Block>
void matmul_blocks(const Product& p) {
  for (size_t i = p.begin; i < p.end; ++i) {
    const std::byte* w = weight_row(p, i);
    for (size_t t = 0; t < p.tokens; ++t) {
      const Activation x{p, t};
      float sum = 0;
      for (size_t c = 0; c < p.columns; c += kBlock) {
        const auto block = load<Block>(w + c / kBlock * sizeof(Block));
        int32_t dot = 0;
        for (size_t k = 0; k < kBlock; ++k) dot += weight_at(block, k) * x.q(c + k);
        sum = std::fma(tensor::half_to_float(block.scale) * x.scale(c), static_cast<float>(dot), sum);
      }
      p.y[t * p.y_stride + i - p.begin] = sum;
    }
  }
}

/// The same for the types that come apart into Quanta. The minima follow each block's products: sum =
/// fma(-(min * activation scale), sum of mins * q, sum). Integers stay below 2^28, whatever the file holds.
template <class Block>
void matmul_quanta(const Product& p) {
  constexpr size_t kElements = Layout<Block>::kElements;
  Quanta w;
  for (size_t i = p.begin; i < p.end; ++i) {
    const std::byte* row = weight_row(p, i);
    for (size_t t = 0; t < p.tokens; ++t) {
      const Activation x{p, t};
      float sum = 0;
      for (size_t c = 0; c < p.columns; c += kElements) {
        unpack_at<Block>(row + c / kElements * sizeof(Block), w);
        int32_t dot = 0, below = 0;
        for (size_t k = 0; k < kElements; ++k) {
          dot += w.scales[k / 16] * w.q[k] * x.q(c + k);
          if (Layout<Block>::kHasMin) below += w.mins[k / 16] * x.q(c + k);
        }
        sum = std::fma(tensor::half_to_float(w.scale) * x.scale(c), static_cast<float>(dot), sum);
        if (Layout<Block>::kHasMin)
          sum = std::fma(-(tensor::half_to_float(w.min) * x.scale(c)), static_cast<float>(below), sum);
      }
      p.y[t * p.y_stride + i - p.begin] = sum;
    }
  }
}

/// The nearest integer, ties to even; NaN, which only broken weights can produce, gives 0.
int8_t quantum(float x) {
  return std::isnan(x) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(std::clamp(x, -127.0F, 127.0F)));
}

float largest(const float* x, size_t n) {
  float amax = 0;
  for (size_t c = 0; c < n; ++c) amax = std::max(amax, std::fabs(x[c]));
  return amax;
}

ActivationBlock pack_block(const float* x, float scale, float inverse) {
  ActivationBlock out{};
  out.scale = scale;
  if (scale == 0) return out;
  for (size_t c = 0; c < kBlock; ++c) {
    out.q[c] = quantum(x[c] * inverse);
    out.sum += out.q[c];
  }
  return out;
}

ActivationBlock pack_block(const float* x) {
  const float amax = largest(x, kBlock);
  return pack_block(x, tensor::half_to_float(tensor::float_to_half(amax / 127.0F)), 127.0F / amax);
}

void put(const ActivationBlock& row, size_t t, ActivationTile& tile) {
  for (size_t c = 0; c < kBlock; ++c) tile.q[c / 4][t][c % 4] = row.q[c];
  tile.scale[t] = row.scale;
  tile.sum[t] = row.sum;
}

void matmul_f32(const Product& p) {
  matmul_floats<float>(p, [](float w) { return w; });
}
void matmul_f16(const Product& p) { matmul_floats<uint16_t>(p, tensor::half_to_float); }
void matmul_bf16(const Product& p) { matmul_floats<uint16_t>(p, tensor::bfloat_to_float); }

}  // namespace

Matmul matmul(tensor::DType type) {
  using tensor::DType;
  switch (type) {
    case DType::kF32:
      return matmul_f32;
    case DType::kF16:
      return matmul_f16;
    case DType::kBF16:
      return matmul_bf16;
    case DType::kQ8_0:
      return matmul_blocks<BlockQ8_0>;
    case DType::kQ4_0:
      return matmul_blocks<BlockQ4_0>;
    case DType::kQ4_1:
      return matmul_quanta<tensor::BlockQ4_1>;
    case DType::kQ5_0:
      return matmul_quanta<tensor::BlockQ5_0>;
    case DType::kQ5_1:
      return matmul_quanta<tensor::BlockQ5_1>;
    case DType::kIQ4_NL:
      return matmul_quanta<tensor::BlockIQ4_NL>;
    case DType::kQ2_K:
      return matmul_quanta<tensor::BlockQ2_K>;
    case DType::kQ3_K:
      return matmul_quanta<tensor::BlockQ3_K>;
    case DType::kQ4_K:
      return matmul_quanta<tensor::BlockQ4_K>;
    case DType::kQ5_K:
      return matmul_quanta<tensor::BlockQ5_K>;
    case DType::kQ6_K:
      return matmul_quanta<tensor::BlockQ6_K>;
    case DType::kIQ4_XS:
      return matmul_quanta<tensor::BlockIQ4_XS>;
    case DType::kTQ1_0:
      return matmul_quanta<tensor::BlockTQ1_0>;
    case DType::kTQ2_0:
      return matmul_quanta<tensor::BlockTQ2_0>;
  }
  return nullptr;
}

void pack_blocks(const float* x, size_t blocks, ActivationBlock* out) {
  for (size_t b = 0; b < blocks; ++b) out[b] = pack_block(x + b * kBlock);
}

void pack_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles) {
  for (size_t b = 0; b < blocks; ++b) {
    tiles[b] = ActivationTile{};
    for (size_t t = 0; t < rows; ++t) put(pack_block(x + t * x_stride + b * kBlock), t, tiles[b]);
  }
}

void pack_super_blocks(const float* x, size_t blocks, ActivationBlock* out) {
  constexpr size_t kEach = tensor::kSuperBlock / kBlock;
  for (size_t b = 0; b < blocks; b += kEach) {
    const float inverse = 127.0F / largest(x + b * kBlock, tensor::kSuperBlock);
    const bool none = !(inverse <= kLargestInverse);  // zeros, values too small to invert, or not numbers
    for (size_t k = b; k < b + kEach; ++k)
      out[k] = pack_block(x + k * kBlock, none ? 0.0F : 1.0F / inverse, inverse);
  }
}

void pack_super_tiles(const float* x, size_t x_stride, size_t rows, size_t blocks, ActivationTile* tiles) {
  std::vector<ActivationBlock> row(blocks);
  std::fill_n(tiles, blocks, ActivationTile{});
  for (size_t t = 0; t < rows; ++t) {
    pack_super_blocks(x + t * x_stride, blocks, row.data());
    for (size_t b = 0; b < blocks; ++b) put(row[b], t, tiles[b]);
  }
}

}  // namespace bantam::kernels::ref
