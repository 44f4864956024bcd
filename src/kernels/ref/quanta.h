#pragma once
// The quantised blocks taken apart, one plain function per layout. `mins` and `min` are set only by the types
// that have minima: kHasMin.

#include <cstring>

#include "kernels/quanta.h"

namespace bantam::kernels::ref {

void unpack(const tensor::BlockQ4_1& block, Quanta& out);
void unpack(const tensor::BlockQ5_0& block, Quanta& out);
void unpack(const tensor::BlockQ5_1& block, Quanta& out);
void unpack(const tensor::BlockIQ4_NL& block, Quanta& out);
void unpack(const tensor::BlockQ2_K& block, Quanta& out);
void unpack(const tensor::BlockQ3_K& block, Quanta& out);
void unpack(const tensor::BlockQ4_K& block, Quanta& out);
void unpack(const tensor::BlockQ5_K& block, Quanta& out);
void unpack(const tensor::BlockQ6_K& block, Quanta& out);
void unpack(const tensor::BlockIQ4_XS& block, Quanta& out);
void unpack(const tensor::BlockTQ1_0& block, Quanta& out);
void unpack(const tensor::BlockTQ2_0& block, Quanta& out);

template <class Block>
struct Layout {
  static constexpr size_t kElements = tensor::kSuperBlock;
  static constexpr bool kHasMin = false;
};
template <size_t elements, bool has_min>
struct LayoutOf {
  static constexpr size_t kElements = elements;
  static constexpr bool kHasMin = has_min;
};
template <>
struct Layout<tensor::BlockQ4_1> : LayoutOf<tensor::kBlock, true> {};
template <>
struct Layout<tensor::BlockQ5_0> : LayoutOf<tensor::kBlock, false> {};
template <>
struct Layout<tensor::BlockQ5_1> : LayoutOf<tensor::kBlock, true> {};
template <>
struct Layout<tensor::BlockIQ4_NL> : LayoutOf<tensor::kBlock, false> {};
template <>
struct Layout<tensor::BlockQ2_K> : LayoutOf<tensor::kSuperBlock, true> {};
template <>
struct Layout<tensor::BlockQ4_K> : LayoutOf<tensor::kSuperBlock, true> {};
template <>
struct Layout<tensor::BlockQ5_K> : LayoutOf<tensor::kSuperBlock, true> {};

/// The block at any address.
template <class Block>
void unpack_at(const std::byte* at, Quanta& out) {
  Block block;
  std::memcpy(&block, at, sizeof(block));
  unpack(block, out);
}

}  // namespace bantam::kernels::ref
