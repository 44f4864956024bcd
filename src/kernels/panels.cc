// How the panels are laid out, in words of four bytes; [n] stands for the word n of each row in turn:
//   Q8_0   [8] weights + 128, then the binary16 scales
//   Q4_0   [4] q as stored, then the scales
//   Q5_0   [4] q as stored, [1] fifth bits: bit i of byte j is that of column 4 i + j; then the scales
//   Q4_K   [32] q as stored, [3] scales and minima as stored, then scale and then min of all rows
//   Q6_K   [32] q as stored, [16] high bits as stored, [4] scales, then scale of all rows

#include "kernels/panels.h"

#include <cassert>
#include <cstring>

namespace bantam::kernels {
namespace {

using namespace tensor;

/// Writes words and halves of row r among the others'.
class Lane {
 public:
  Lane(size_t lanes, size_t r, std::byte* out) : lanes_(lanes), r_(r), out_(out) {}
  void word(uint32_t value) {
    std::memcpy(out_ + 4 * r_, &value, 4);
    out_ += 4 * lanes_;
  }
  void words(const void* from, size_t count, uint32_t flip = 0) {
    for (size_t i = 0; i < count; ++i) {
      uint32_t value;
      std::memcpy(&value, static_cast<const std::byte*>(from) + 4 * i, 4);
      word(value ^ flip);
    }
  }
  void half(uint16_t value) {
    std::memcpy(out_ + 2 * r_, &value, 2);
    out_ += 2 * lanes_;
  }

 private:
  size_t lanes_, r_;
  std::byte* out_;
};

/// Bit i of byte j from bit 4 i + j.
uint32_t by_columns(uint32_t bits) {
  uint32_t out = 0;
  for (int j = 0; j < 4; ++j) {
    uint32_t every = bits >> j & 0x11111111U;
    every = (every | every >> 3) & 0x03030303U;
    every = (every | every >> 6) & 0x000f000fU;
    out |= ((every | every >> 12) & 0xffU) << (8 * j);
  }
  return out;
}

void put(const BlockQ8_0& block, Lane out) {
  out.words(block.q, 8, 0x80808080U);
  out.half(block.scale);
}
void put(const BlockQ4_0& block, Lane out) {
  out.words(block.q, 4);
  out.half(block.scale);
}
void put(const BlockQ5_0& block, Lane out) {
  uint32_t high;
  std::memcpy(&high, block.high, 4);
  out.words(block.q, 4);
  out.word(by_columns(high));
  out.half(block.scale);
}
void put(const BlockQ4_K& block, Lane out) {
  out.words(block.q, 32);
  out.words(block.scales, 3);
  out.half(block.scale);
  out.half(block.min);
}
void put(const BlockQ6_K& block, Lane out) {
  out.words(block.q, 32);
  out.words(block.high, 16);
  out.words(block.scales, 4);
  out.half(block.scale);
}

template <class Block>
void interleave(size_t lanes, const std::byte* rows, size_t row_bytes, size_t count, size_t blocks,
                std::byte* out) {
  for (size_t b = 0; b < blocks; ++b, out += lanes * sizeof(Block)) {
    for (size_t r = 0; r < lanes; ++r) {
      Block block{};
      if (r < count) std::memcpy(&block, rows + r * row_bytes + b * sizeof(Block), sizeof(Block));
      put(block, Lane(lanes, r, out));
    }
  }
}

}  // namespace

bool has_panels(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0 || type == DType::kQ5_0 || type == DType::kQ4_K ||
         type == DType::kQ6_K;
}

size_t panel_bytes(DType type, size_t lanes, size_t columns) { return lanes * row_bytes(type, columns); }

void make_panel(DType type, size_t lanes, const std::byte* rows, size_t row_bytes, size_t count,
                size_t columns, std::byte* out) {
  const size_t blocks = columns / block_elements(type);
  const auto with = [&](auto interleave_blocks) {
    interleave_blocks(lanes, rows, row_bytes, count, blocks, out);
  };
  switch (type) {
    case DType::kQ8_0:
      return with(interleave<BlockQ8_0>);
    case DType::kQ4_0:
      return with(interleave<BlockQ4_0>);
    case DType::kQ5_0:
      return with(interleave<BlockQ5_0>);
    case DType::kQ4_K:
      return with(interleave<BlockQ4_K>);
    case DType::kQ6_K:
      return with(interleave<BlockQ6_K>);
    default:
      assert(false);
  }
}

}  // namespace bantam::kernels
