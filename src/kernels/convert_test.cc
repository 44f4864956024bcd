// Rows of stored matrices from and to floats: layouts by hand-made bytes, quantisers by their errors.

#include "kernels/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "kernels/dispatch.h"
#include "tensor/half.h"

namespace bantam::kernels {
namespace {

using tensor::DType;

const Table& chosen() { return **choose_table(); }

constexpr DType kQuantised[] = {DType::kQ8_0,   DType::kQ4_0,   DType::kQ4_1,  DType::kQ5_0, DType::kQ5_1,
                                DType::kQ2_K,   DType::kQ3_K,   DType::kQ4_K,  DType::kQ5_K, DType::kQ6_K,
                                DType::kIQ4_NL, DType::kIQ4_XS, DType::kTQ1_0, DType::kTQ2_0};

TEST(Convert, QuantaOfKnownValues) {
  std::vector<float> x(kBlock, 0.0F);
  x[0] = 127;
  x[1] = -2.5F;  // halves go away from zero
  x[2] = 0.5F;
  tensor::BlockQ8_0 q8;
  quantize_row(DType::kQ8_0, x.data(), kBlock, reinterpret_cast<std::byte*>(&q8));
  EXPECT_EQ(q8.scale, tensor::float_to_half(1.0F));
  EXPECT_EQ(q8.q[0], 127);
  EXPECT_EQ(q8.q[1], -3);
  EXPECT_EQ(q8.q[2], 1);
  std::fill(x.begin(), x.end(), 0.0F);
  x[3] = -16;  // the scale is signed: 2
  x[4] = 16;   // 8 steps up, of which 7 exist
  x[20] = 3;
  tensor::BlockQ4_0 q4;
  quantize_row(DType::kQ4_0, x.data(), kBlock, reinterpret_cast<std::byte*>(&q4));
  EXPECT_EQ(q4.scale, tensor::float_to_half(2.0F));
  EXPECT_EQ(q4.q[3] & 15, 0);
  EXPECT_EQ(q4.q[4] & 15, 15);
  EXPECT_EQ(q4.q[4] >> 4, 10);  // 3 / 2 + 8.5
  std::vector<float> back(kBlock);
  dequantize_row(chosen(), DType::kQ4_0, reinterpret_cast<std::byte*>(&q4), kBlock, back.data());
  EXPECT_EQ(back[3], -16);
  EXPECT_EQ(back[4], 14);
  EXPECT_EQ(back[20], 4);
}

TEST(Convert, ZeroAndTinyBlocks) {
  for (DType type : kQuantised) {
    for (float value : {0.0F, 1e-40F, 1e-20F}) {
      const std::vector<float> x(tensor::block_elements(type), value);
      std::vector<std::byte> bytes(tensor::block_bytes(type));
      quantize_row(type, x.data(), kBlock, bytes.data());
      std::vector<float> back(x.size(), 1.0F);
      dequantize_row(chosen(), type, bytes.data(), x.size(), back.data());
      for (float b : back)
        EXPECT_NEAR(b, 0.0F, value) << formats::ggml_type_name(static_cast<uint32_t>(type));
    }
  }
}

/// Root of the mean squared error over that of the values, for normally distributed ones.
double relative_error(DType type, float size, float shift = 0) {
  Rng rng(7);
  const size_t n = 64 * tensor::kSuperBlock;
  std::vector<float> x(n), back(n);
  for (float& v : x) v = size * (static_cast<float>(rng.normal()) + shift);
  std::vector<std::byte> bytes(tensor::row_bytes(type, n));
  quantize_row(type, x.data(), n, bytes.data());
  dequantize_row(ref::table(), type, bytes.data(), n, back.data());
  double error = 0, all = 0;
  for (size_t i = 0; i < n; ++i) {
    error += std::pow(static_cast<double>(back[i]) - x[i], 2);
    all += std::pow(static_cast<double>(x[i]), 2);
  }
  return std::sqrt(error / all);
}

TEST(Convert, ErrorsAreThoseOfGoodQuantisers) {
  const std::pair<DType, double> most[] = {
      {DType::kBF16, 0.002}, {DType::kQ8_0, 0.006},  {DType::kQ6_K, 0.020},  {DType::kQ5_K, 0.037},
      {DType::kQ5_1, 0.043}, {DType::kQ5_0, 0.045},  {DType::kQ4_K, 0.075},  {DType::kQ4_1, 0.085},
      {DType::kQ4_0, 0.10},  {DType::kIQ4_NL, 0.08}, {DType::kIQ4_XS, 0.08}, {DType::kQ3_K, 0.17},
      {DType::kQ2_K, 0.30},  {DType::kTQ1_0, 0.46},  {DType::kTQ2_0, 0.46}};
  for (const auto& [type, bound] : most) {
    for (float size : {1e-3F, 1.0F, 30.0F}) {
      const double error = relative_error(type, size);
      EXPECT_LT(error, bound) << formats::ggml_type_name(static_cast<uint32_t>(type)) << " size " << size;
      if (size == 1.0F)
        RecordProperty(formats::ggml_type_name(static_cast<uint32_t>(type)), std::to_string(error));
    }
  }
}

TEST(Convert, MinimaServeValuesAwayFromZero) {
  for (DType type : {DType::kQ4_1, DType::kQ5_1}) EXPECT_LT(relative_error(type, 1.0F, 10.0F), 0.02);
  for (DType type : {DType::kQ2_K, DType::kQ4_K, DType::kQ5_K})
    EXPECT_LT(relative_error(type, 1.0F, -10.0F), 0.06);  // only downwards: these minima are subtracted
}

/// Values that the layout can hold exactly come back exactly, whatever group and element they are in.
TEST(Convert, TernaryValuesAreKeptExactly) {
  Rng rng(3);
  for (DType type : {DType::kTQ1_0, DType::kTQ2_0}) {
    std::vector<float> x(2 * tensor::kSuperBlock), back(x.size());
    for (float& v : x) v = 0.25F * static_cast<float>(static_cast<int>(rng.below(3)) - 1);
    std::vector<std::byte> bytes(tensor::row_bytes(type, x.size()));
    quantize_row(type, x.data(), x.size(), bytes.data());
    dequantize_row(ref::table(), type, bytes.data(), x.size(), back.data());
    EXPECT_EQ(back, x);
  }
}

TEST(Convert, ImportanceMovesTheError) {
  Rng rng(5);
  const size_t n = tensor::kSuperBlock;
  std::vector<float> x(n), importance(n, 1.0F), plain(n), weighted(n);
  for (float& v : x) v = static_cast<float>(rng.normal());
  for (size_t i = 0; i < n; i += 8) importance[i] = 1000;
  for (DType type : {DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_0, DType::kIQ4_XS}) {
    std::vector<std::byte> bytes(tensor::row_bytes(type, n));
    quantize_row(type, x.data(), n, bytes.data());
    dequantize_row(ref::table(), type, bytes.data(), n, plain.data());
    quantize_row(type, x.data(), n, bytes.data(), importance.data());
    dequantize_row(ref::table(), type, bytes.data(), n, weighted.data());
    double before = 0, after = 0;
    for (size_t i = 0; i < n; i += 8) {
      before += std::pow(plain[i] - x[i], 2);
      after += std::pow(weighted[i] - x[i], 2);
    }
    EXPECT_LT(after, before) << formats::ggml_type_name(static_cast<uint32_t>(type));
  }
}

/// Block bytes written out by hand from the description of the layout.
TEST(Convert, LayoutsByHand) {
  const uint16_t one = 0x3c00, half = 0x3800;
  std::vector<float> out(tensor::kSuperBlock);
  const auto read = [&](DType type, const auto& block, size_t n = tensor::kSuperBlock) {
    ASSERT_EQ(sizeof(block), tensor::block_bytes(type));
    dequantize_row(ref::table(), type, reinterpret_cast<const std::byte*>(&block), n, out.data());
  };
  tensor::BlockQ5_1 q51{one, half, {0x01, 0, 0, 0x80}, {}};
  q51.q[0] = 0x23;   // element 0: 3 + 16, element 16: 2
  q51.q[15] = 0x40;  // element 31: 4 + 16
  read(DType::kQ5_1, q51, 32);
  EXPECT_EQ(out[0], 19.5F);
  EXPECT_EQ(out[16], 2.5F);
  EXPECT_EQ(out[31], 20.5F);
  tensor::BlockQ4_K q4{one, half, {}, {}};
  q4.scales[1] = 0x80 | 5;  // scale of group 1: 5; upper bits of group 5's: 2
  q4.scales[5] = 0x40 | 7;  // min of group 1: 7; upper bits of group 5's: 1
  q4.scales[9] = 0x31;      // group 5: scale 1 + 32, min 3 + 16
  q4.q[0][4] = 0x90;        // element 36
  q4.q[2][31] = 0x20;       // element 128 + 63, group 5
  read(DType::kQ4_K, q4);
  EXPECT_EQ(out[36], 5 * 9 - 0.5F * 7);
  EXPECT_EQ(out[191], 33 * 2 - 0.5F * 19);
  EXPECT_EQ(out[0], 0);
  tensor::BlockQ6_K q6{};
  q6.scale = half;
  q6.scales[13] = -3;
  q6.q[1][32 + 16] = 0x00;
  q6.q[1][32 + 20] = 0x0b;  // half 1, j 1, l 20: element 180, group 11
  q6.high[1][20] = 0x08;    // bits 2 and 3: 2
  q6.scales[11] = 4;
  read(DType::kQ6_K, q6);
  EXPECT_EQ(out[180], 0.5F * 4 * (0x2b - 32));
  EXPECT_EQ(out[208], 0.5F * -3 * -32);  // group 13
  tensor::BlockIQ4_XS iq{};
  iq.scale = one;
  iq.scales_high = 2 << 6;  // group 3
  iq.scales_low[1] = 0x50;
  iq.q[3][2] = 0x0f;
  read(DType::kIQ4_XS, iq);
  EXPECT_EQ(out[98], (0x25 - 32) * 113.0F);
  EXPECT_EQ(out[98 + 16], (0x25 - 32) * -127.0F);
  tensor::BlockTQ1_0 tq{};
  tq.scale = one;
  tq.q[33] = 128;  // .1111 in base 3: every trit 1
  read(DType::kTQ1_0, tq);
  for (size_t t = 0; t < 5; ++t) EXPECT_EQ(out[160 + 16 * t + 1], 0);
  EXPECT_EQ(out[160], -1);
}

}  // namespace
}  // namespace bantam::kernels
