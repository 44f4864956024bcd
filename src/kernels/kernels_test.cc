// Every fast kernel against kernels/ref, at all lengths 0 .. 2N and at odd alignments; the bound of each
// error stands beside it.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/matmul.h"
#include "tensor/half.h"

namespace bantam::kernels {
namespace {

using tensor::DType;

const Table& fast() {
  const auto table = table_by_name("avx2");
  return table ? **table : ref::table();
}

std::vector<float> random_floats(size_t n, uint64_t seed, float size = 1.0F) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& x : out) x = size * static_cast<float>(rng.normal());
  return out;
}

/// A float array that begins one element after a vector boundary: the odd alignment.
class Odd {
 public:
  [[gnu::noinline]] explicit Odd(const std::vector<float>& values) : memory_(values.size() + 16) {
    const auto at = reinterpret_cast<uintptr_t>(memory_.data());
    first_ = (32 - at % 32) % 32 / sizeof(float) + 1;
    for (size_t i = 0; i < values.size(); ++i) memory_[first_ + i] = values[i];
  }
  float* data() { return memory_.data() + first_; }

 private:
  std::vector<float> memory_;
  size_t first_ = 0;
};

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ4_0};

struct Matrix {
  Matrix(DType type, size_t rows, size_t columns, uint64_t seed)
      : bytes(tensor::row_bytes(type, columns) * rows + 2) {
    const auto values = random_floats(rows * columns, seed);
    view = {type, rows, columns, bytes.data() + 2};  // two bytes past any alignment
    for (size_t i = 0; i < rows; ++i) {
      quantize_row(type, values.data() + i * columns, columns, bytes.data() + 2 + i * view.row_bytes());
    }
  }
  std::vector<std::byte> bytes;
  tensor::MatrixView view;
};

std::vector<float> multiply(const Table& table, ThreadPool& pool, const tensor::MatrixView& w, const float* x,
                            size_t tokens, std::span<const int32_t> rows = {}) {
  auto activations = Activations::create(tokens, w.columns);
  activations->set(x, w.columns, tokens, w.columns);
  const size_t count = rows.empty() ? w.rows : rows.size();
  std::vector<float> y(tokens * count);
  matmul(table, pool, w, *activations, y.data(), count, rows);
  return y;
}

void expect_product(DType type, size_t rows, size_t columns, size_t tokens) {
  ThreadPool pool(1);
  const Matrix w(type, rows, columns, 1);
  Odd x(random_floats(tokens * columns, 2));
  const auto expected = multiply(ref::table(), pool, w.view, x.data(), tokens);
  const auto found = multiply(fast(), pool, w.view, x.data(), tokens);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (tensor::block_elements(type) > 1) {
      // The block formats add integers exactly and floats in one defined order: no error at all.
      ASSERT_EQ(found[i], expected[i]) << rows << "x" << columns << " tokens " << tokens << " at " << i;
    } else {
      // Sums of n products of magnitude about 1 in eight lanes: n/8 + 3 roundings of a sum below 4 sqrt(n).
      const auto n = static_cast<float>(columns);
      const float bound = (n / 8 + 3) * 0x1p-24F * 4 * std::sqrt(n + 1);
      ASSERT_NEAR(found[i], expected[i], bound)
          << rows << "x" << columns << " tokens " << tokens << " at " << i;
    }
  }
}

TEST(Matmul, AgreesWithRefAtAllLengths) {
  for (DType type : kTypes) {
    const size_t unit = tensor::block_elements(type);
    for (size_t length = 0; length <= (unit > 1 ? 4 : 33); ++length) {
      for (size_t tokens : {1, 2, 5, 9}) expect_product(type, 5, length * unit, tokens);
    }
  }
}

TEST(Matmul, AgreesWithRefForAllRowsAndTokens) {
  for (DType type : kTypes) {
    for (size_t rows = 1; rows <= 17; ++rows) {
      for (size_t tokens = 1; tokens <= 34; ++tokens) expect_product(type, rows, 64, tokens);
    }
  }
}

TEST(Matmul, ResultDoesNotDependOnBatchThreadsOrSubset) {
  ThreadPool one(1), three(3);
  for (DType type : kTypes) {
    const Matrix w(type, 700, 320, 3);
    const auto x = random_floats(27 * 320, 4);
    const auto whole = multiply(fast(), one, w.view, x.data(), 27);
    EXPECT_EQ(multiply(fast(), three, w.view, x.data(), 27), whole);
    const std::vector<int32_t> rows{699, 3, 3, 17, 0, 128, 5, 6, 7, 400};
    const auto some = multiply(fast(), one, w.view, x.data(), 27, rows);
    for (size_t t = 0; t < 27; ++t) {
      const auto alone = multiply(fast(), one, w.view, x.data() + t * 320, 1);
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), whole.begin() + t * 700)) << t;
      for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(some[t * rows.size() + i], whole[t * 700 + rows[i]]);
    }
  }
}

TEST(Matmul, ExtremeQuantaAreExact) {  // -128 is in no file of a correct writer, but in files
  ThreadPool pool(1);
  for (DType type : {DType::kQ8_0, DType::kQ4_0}) {
    Matrix w(type, 9, 64, 5);
    for (size_t at = 2; at < w.bytes.size(); ++at) w.bytes[at] = std::byte{0x80};
    for (size_t block = 0; block < 18; ++block) {
      const uint16_t one = 0x3c00;
      std::memcpy(w.bytes.data() + 2 + block * tensor::block_bytes(type), &one, 2);
    }
    std::vector<float> x(20 * 64);
    for (size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? -1.0F : 1.0F;
    EXPECT_EQ(multiply(fast(), pool, w.view, x.data(), 20),
              multiply(ref::table(), pool, w.view, x.data(), 20));
  }
}

TEST(Pack, EqualsRef) {
  for (size_t blocks = 0; blocks <= 4; ++blocks) {
    for (size_t rows = 1; rows <= 8; ++rows) {
      auto values = random_floats(rows * blocks * kBlock, rows * 7 + blocks, 1e-3F);
      if (blocks > 1) std::fill_n(values.begin(), kBlock, 0.0F);
      if (blocks > 2) std::fill_n(values.begin() + kBlock, kBlock, 1e-12F);  // the scale rounds to zero
      Odd x(values);
      std::vector<ActivationTile> a(blocks), b(blocks);
      ref::table().pack_tiles(x.data(), blocks * kBlock, rows, blocks, a.data());
      fast().pack_tiles(x.data(), blocks * kBlock, rows, blocks, b.data());
      EXPECT_TRUE(blocks == 0 || std::memcmp(a.data(), b.data(), blocks * sizeof(ActivationTile)) == 0);
      std::vector<ActivationBlock> c(blocks), d(blocks);
      ref::table().pack_blocks(x.data(), blocks, c.data());
      fast().pack_blocks(x.data(), blocks, d.data());
      EXPECT_TRUE(blocks == 0 || std::memcmp(c.data(), d.data(), blocks * sizeof(ActivationBlock)) == 0);
    }
  }
}

TEST(Elementwise, AgreesWithRefAtAllLengths) {
  for (size_t n = 0; n <= 33; ++n) {
    const auto values = random_floats(n, n + 1, 3.0F), other = random_floats(n, n + 99);
    Odd a(values), b(values), w(other), out_a(other), out_b(other);
    ref::table().rms_norm(a.data(), w.data(), 1e-5F, n, out_a.data());
    fast().rms_norm(b.data(), w.data(), 1e-5F, n, out_b.data());
    // Squares are positive: n/8 + 3 roundings of the sum, halved by the root, and three more.
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(out_a.data()[i], out_b.data()[i], (n / 16.0F + 5) * 0x1p-23F * std::fabs(out_a.data()[i]));
    }
    ref::table().swiglu(a.data(), w.data(), n);
    fast().swiglu(b.data(), w.data(), n);
    // exp within 3e-7, three roundings.
    for (size_t i = 0; i < n; ++i) EXPECT_NEAR(a.data()[i], b.data()[i], 1e-6F * std::fabs(a.data()[i]));
    ref::table().add(a.data(), w.data(), n);
    std::copy_n(a.data(), n, b.data());
    fast().softmax(b.data(), n);
    ref::table().softmax(a.data(), n);
    // exp within 3e-7, n/8 + 5 roundings.
    for (size_t i = 0; i < n; ++i) EXPECT_NEAR(a.data()[i], b.data()[i], 1.5e-6F * a.data()[i]);
    ref::table().add(a.data(), w.data(), n);
    fast().softmax(b.data(), 0);
  }
}

TEST(Elementwise, AddAndHalvesAreExact) {
  for (size_t n = 0; n <= 33; ++n) {
    const auto values = random_floats(n, n + 5, 100.0F);
    Odd a(values), b(values), w(random_floats(n, 6));
    ref::table().add(a.data(), w.data(), n);
    fast().add(b.data(), w.data(), n);
    std::vector<uint16_t> ha(n), hb(n);
    ref::table().f32_to_f16(a.data(), ha.data(), n);
    fast().f32_to_f16(b.data(), hb.data(), n);
    EXPECT_EQ(ha, hb);
    ref::table().f16_to_f32(ha.data(), a.data(), n);
    fast().f16_to_f32(hb.data(), b.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
  }
}

TEST(Elementwise, SwigluAtTheEndsOfTheRange) {
  std::vector<float> a{-1000, -88, -87.3F, -20, 0, 20, 88, 1000}, b = a;
  const std::vector<float> up(8, 1.0F);
  ref::table().swiglu(a.data(), up.data(), 8);
  fast().swiglu(b.data(), up.data(), 8);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(a[i], b[i], 1e-6F * std::fabs(a[i]) + 1e-30F) << i;
}

TEST(Rope, EqualsRefAtAllLengths) {
  for (size_t n = 0; n <= 34; n += 2) {
    const auto values = random_floats(n, n + 1);
    Odd a(values), b(values), cos(random_floats(n / 2, 2)), sin(random_floats(n / 2, 3));
    ref::table().rope_interleaved(a.data(), cos.data(), sin.data(), n);
    fast().rope_interleaved(b.data(), cos.data(), sin.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
    ref::table().rope_half(a.data(), cos.data(), sin.data(), n);
    fast().rope_half(b.data(), cos.data(), sin.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
  }
}

struct AttentionCase {
  AttentionCase(size_t keys, size_t head_dim, bool half) : stride((head_dim + 7) / 8 * 8), capacity(keys) {
    const auto k = random_floats(keys * stride, 1), v = random_floats(keys * stride, 2);
    for (auto* to : {&key_bytes, &value_bytes}) to->resize(keys * stride * 4);
    for (size_t i = 0; i < keys * stride; ++i) {
      const bool pad = i % stride >= head_dim;
      const float kv[2] = {pad ? 0.0F : k[i], pad ? 0.0F : v[i]};
      for (int which = 0; which < 2; ++which) {
        auto& to = which == 0 ? key_bytes : value_bytes;
        const uint16_t narrow = tensor::float_to_half(kv[which]);
        half ? std::memcpy(to.data() + i * 2, &narrow, 2) : std::memcpy(to.data() + i * 4, &kv[which], 4);
      }
    }
  }
  size_t stride, capacity;
  std::vector<std::byte> key_bytes, value_bytes;
};

TEST(Attention, AgreesWithRef) {
  for (bool half : {false, true}) {
    for (size_t head_dim : {2, 6, 8, 16, 24, 32, 40, 64, 72, 128}) {
      for (size_t keys : {1, 2, 7, 8, 9, 16, 63, 64, 65, 127, 128, 200}) {
        const AttentionCase c(keys, head_dim, half);
        const size_t queries = std::min<size_t>(keys, 5);
        const auto q = random_floats(queries * head_dim, 3, 2.0F);
        std::vector<uint32_t> positions(queries);
        for (size_t t = 0; t < queries; ++t) positions[t] = static_cast<uint32_t>(keys - queries + t);
        std::vector<float> a(queries * head_dim), b(queries * head_dim);
        Attention attention{q.data(),
                            head_dim,
                            positions.data(),
                            queries,
                            c.key_bytes.data(),
                            c.value_bytes.data(),
                            c.stride,
                            head_dim,
                            1 / std::sqrt(static_cast<float>(head_dim)),
                            a.data(),
                            head_dim};
        half ? ref::table().attention_f16(attention) : ref::table().attention_f32(attention);
        attention.out = b.data();
        half ? fast().attention_f16(attention) : fast().attention_f32(attention);
        // Scores are below 20 with relative error 1e-6, so weights err by 2e-5; values are below 5.
        for (size_t i = 0; i < a.size(); ++i)
          ASSERT_NEAR(a[i], b[i], 2e-5F) << head_dim << " " << keys << " " << i;
      }
    }
  }
}

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
  dequantize_row(fast(), DType::kQ4_0, reinterpret_cast<std::byte*>(&q4), kBlock, back.data());
  EXPECT_EQ(back[3], -16);
  EXPECT_EQ(back[4], 14);
  EXPECT_EQ(back[20], 4);
}

TEST(Convert, ZeroAndTinyBlocks) {
  for (DType type : {DType::kQ8_0, DType::kQ4_0}) {
    for (float value : {0.0F, 1e-40F, 1e-20F}) {
      const std::vector<float> x(kBlock, value);
      std::vector<std::byte> bytes(tensor::block_bytes(type));
      quantize_row(type, x.data(), kBlock, bytes.data());
      std::vector<float> back(kBlock, 1.0F);
      dequantize_row(fast(), type, bytes.data(), kBlock, back.data());
      for (float b : back) EXPECT_EQ(b, 0.0F);
    }
  }
}

TEST(Dispatch, NamesAreChecked) {
  EXPECT_STREQ((*table_by_name("ref"))->name, "ref");
  const auto unknown = table_by_name("avx99");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace bantam::kernels
