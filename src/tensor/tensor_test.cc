#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/dtype.h"
#include "tensor/half.h"
#include "tensor/storage.h"
#include "tensor/view.h"

namespace bantam::tensor {
namespace {

TEST(Half, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    } else {
      EXPECT_EQ(float_to_half(value), half) << bits;
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {  // every positive pair of neighbours, subnormals included
    const float low = half_to_float(static_cast<uint16_t>(bits)),
                high = half_to_float(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;
    EXPECT_EQ(float_to_half(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0F)), bits) << bits;
    EXPECT_EQ(float_to_half(std::nextafter(middle, 1e9F)), bits + 1) << bits;
  }
}

TEST(Half, OverflowIsInfinity) {
  EXPECT_EQ(float_to_half(65519.0F), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_half(-1e30F), 0xfc00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(DType, RowsAreWholeBlocks) {
  EXPECT_EQ(row_bytes(DType::kF32, 5), 20U);
  EXPECT_EQ(row_bytes(DType::kF16, 5), 10U);
  EXPECT_EQ(row_bytes(DType::kQ8_0, 64), 68U);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 64), 36U);
  const MatrixView view{DType::kQ4_0, 3, 64, nullptr};
  EXPECT_EQ(view.bytes(), 108U);
}

TEST(Storage, IsAlignedAndZeroed) {
  auto storage = Storage::allocate(1001);
  ASSERT_TRUE(storage);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(storage->data()) % Storage::kAlignment, 0U);
  for (auto byte : storage->as<uint8_t>()) EXPECT_EQ(byte, 0);
  EXPECT_EQ(storage->as<float>().size(), 250U);
  auto moved = std::move(*storage);
  EXPECT_EQ(moved.bytes(), 1001U);
}

TEST(Storage, TooLargeIsAnError) {
  auto storage = Storage::allocate(std::numeric_limits<uint64_t>::max());
  ASSERT_FALSE(storage);
  EXPECT_EQ(storage.error().code, Code::kLimit);
}

}  // namespace
}  // namespace bantam::tensor
