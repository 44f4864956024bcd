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

using Words = uint32_t __attribute__((vector_size(16)));

/// Writes what four rows have among the others'.
class FourRows {
 public:
  /// rows first .. first + 3 of `lanes`, whose stored blocks begin at `at`.
  FourRows(size_t lanes, size_t first, const std::byte* const (&at)[4], std::byte* out)
      : lanes_(lanes), first_(first), at_(at), out_(out) {}

  /// The next `count` words, a multiple of 4, are those from byte `from` on, each exclusive-or `flip`.
  void words(size_t from, size_t count, uint32_t flip = 0) {
    for (size_t i = 0; i < count; i += 4) {
      Words w[4];
      for (int r = 0; r < 4; ++r) std::memcpy(&w[r], at_[r] + from + 4 * i, sizeof(Words));
      const Words a = __builtin_shufflevector(w[0], w[1], 0, 4, 1, 5),
                  b = __builtin_shufflevector(w[0], w[1], 2, 6, 3, 7),
                  c = __builtin_shufflevector(w[2], w[3], 0, 4, 1, 5),
                  d = __builtin_shufflevector(w[2], w[3], 2, 6, 3, 7);
      const Words turned[4] = {
          __builtin_shufflevector(a, c, 0, 1, 4, 5), __builtin_shufflevector(a, c, 2, 3, 6, 7),
          __builtin_shufflevector(b, d, 0, 1, 4, 5), __builtin_shufflevector(b, d, 2, 3, 6, 7)};
      for (const Words& four : turned) {
        const Words flipped = four ^ flip;
        std::memcpy(out_ + 4 * first_, &flipped, sizeof(Words));
        out_ += 4 * lanes_;
      }
    }
  }
  /// The next word is `change` of that at byte `from`.
  template <class Change>
  void word(size_t from, Change change) {
    for (size_t r = 0; r < 4; ++r) {
      uint32_t value;
      std::memcpy(&value, at_[r] + from, 4);
      value = change(value);
      std::memcpy(out_ + 4 * (first_ + r), &value, 4);
    }
    out_ += 4 * lanes_;
  }
  void half(size_t from) {
    for (size_t r = 0; r < 4; ++r) std::memcpy(out_ + 2 * (first_ + r), at_[r] + from, 2);
    out_ += 2 * lanes_;
  }

 private:
  size_t lanes_, first_;
  const std::byte* const (&at_)[4];
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

template <class Block>
void put(FourRows out);

template <>
void put<BlockQ8_0>(FourRows out) {
  out.words(offsetof(BlockQ8_0, q), 8, 0x80808080U);
  out.half(offsetof(BlockQ8_0, scale));
}
template <>
void put<BlockQ4_0>(FourRows out) {
  out.words(offsetof(BlockQ4_0, q), 4);
  out.half(offsetof(BlockQ4_0, scale));
}
template <>
void put<BlockQ5_0>(FourRows out) {
  out.words(offsetof(BlockQ5_0, q), 4);
  out.word(offsetof(BlockQ5_0, high), by_columns);
  out.half(offsetof(BlockQ5_0, scale));
}
template <>
void put<BlockQ4_K>(FourRows out) {
  out.words(offsetof(BlockQ4_K, q), 32);
  for (size_t i = 0; i < 3; ++i)
    out.word(offsetof(BlockQ4_K, scales) + 4 * i, [](uint32_t word) { return word; });
  out.half(offsetof(BlockQ4_K, scale));
  out.half(offsetof(BlockQ4_K, min));
}
template <>
void put<BlockQ6_K>(FourRows out) {
  out.words(offsetof(BlockQ6_K, q), 32);
  out.words(offsetof(BlockQ6_K, high), 16);
  out.words(offsetof(BlockQ6_K, scales), 4);
  out.half(offsetof(BlockQ6_K, scale));
}

template <class Block>
void interleave(size_t lanes, const std::byte* rows, size_t row_bytes, size_t count, size_t blocks,
                std::byte* out) {
  static constexpr std::byte kNone[sizeof(Block)] = {};
  for (size_t b = 0; b < blocks; ++b, out += lanes * sizeof(Block)) {
    for (size_t r = 0; r < lanes; r += 4) {
      const std::byte* at[4];
      for (size_t k = 0; k < 4; ++k)
        at[k] = r + k < count ? rows + (r + k) * row_bytes + b * sizeof(Block) : kNone;
      put<Block>(FourRows(lanes, r, at, out));
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
