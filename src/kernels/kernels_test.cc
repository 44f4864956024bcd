// Every fast kernel against kernels/ref, at all lengths 0 .. 2N and at odd alignments; the bound of each
// error stands beside it.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/isa_for_test.h"
#include "kernels/matmul.h"
#include "tensor/half.h"
#include "tensor/storage.h"

namespace bantam::kernels {
namespace {

using tensor::DType;

class Matmul : public ForEachIsa {};
class Pack : public ForEachIsa {};
class Elementwise : public ForEachIsa {};
class Rope : public ForEachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, Matmul, kIsas, isa_name);
INSTANTIATE_TEST_SUITE_P(Isa, Pack, kIsas, isa_name);
INSTANTIATE_TEST_SUITE_P(Isa, Elementwise, kIsas, isa_name);
INSTANTIATE_TEST_SUITE_P(Isa, Rope, kIsas, isa_name);

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

constexpr DType kTypes[] = {DType::kF32,   DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0,
                            DType::kQ4_1,  DType::kQ5_0, DType::kQ5_1, DType::kIQ4_NL, DType::kQ2_K,
                            DType::kQ3_K,  DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,   DType::kIQ4_XS,
                            DType::kTQ1_0, DType::kTQ2_0};

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

/// With panels where the table has some.
std::vector<float> multiply(const Table& table, ThreadPool& pool, tensor::MatrixView w, const float* x,
                            size_t tokens, std::span<const int32_t> rows = {}) {
  tensor::Storage panels = *tensor::Storage::allocate(panels_size(table, w));
  if (panels.bytes() > 0) {
    copy_as_panels(table, pool, w, panels.data(), [](std::span<const std::byte>) {});
    w.panels = panels.data();
  }
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

TEST_P(Matmul, AgreesWithRefAtAllLengths) {
  for (DType type : kTypes) {
    const size_t unit = tensor::block_elements(type);
    for (size_t length = 0; length <= (unit > 1 ? 4 : 33); ++length) {
      for (size_t tokens : {1, 2, 5, 9}) expect_product(type, 5, length * unit, tokens);
    }
  }
}

TEST_P(Matmul, AgreesWithRefForAllRowsAndTokens) {
  for (DType type : kTypes) {
    for (size_t rows = 1; rows <= 17; ++rows) {
      const size_t columns = std::max<size_t>(64, tensor::block_elements(type));
      for (size_t tokens = 1; tokens <= 34; ++tokens) expect_product(type, rows, columns, tokens);
    }
  }
}

TEST_P(Matmul, ResultDoesNotDependOnBatchThreadsOrSubset) {
  ThreadPool one(1), three(3);
  for (DType type : kTypes) {
    const size_t columns = tensor::block_elements(type) == tensor::kSuperBlock ? 512 : 320;
    const Matrix w(type, 700, columns, 3);
    const auto x = random_floats(27 * columns, 4);
    const auto whole = multiply(fast(), one, w.view, x.data(), 27);
    EXPECT_EQ(multiply(fast(), three, w.view, x.data(), 27), whole);
    const std::vector<int32_t> rows{699, 3, 3, 17, 0, 128, 5, 6, 7, 400};
    const auto some = multiply(fast(), one, w.view, x.data(), 27, rows);
    for (size_t t = 0; t < 27; ++t) {
      const auto alone = multiply(fast(), one, w.view, x.data() + t * columns, 1);
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), whole.begin() + t * 700)) << t;
      for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(some[t * rows.size() + i], whole[t * 700 + rows[i]]);
    }
  }
}

TEST_P(Matmul, ProductsThatShareActivationsAreThoseAlone) {
  constexpr size_t kColumns = 512;
  const std::vector<std::vector<DType>> mixes{{DType::kQ8_0, DType::kQ8_0, DType::kQ6_K},
                                              {DType::kQ4_K, DType::kQ4_0},
                                              {DType::kQ4_K, DType::kF16, DType::kQ8_0, DType::kQ5_K},
                                              {DType::kF32, DType::kIQ4_XS},
                                              {DType::kQ6_K}};
  for (size_t threads : {1, 3}) {
    ThreadPool pool(static_cast<unsigned>(threads));
    for (const auto& mix : mixes) {
      for (size_t tokens : {1, 2, 13, 40}) {
        const auto x = random_floats(tokens * kColumns, 5);
        std::vector<Matrix> matrices;
        std::vector<tensor::Storage> panels;
        std::vector<std::vector<float>> expected, found;
        for (size_t i = 0; i < mix.size(); ++i) {
          const size_t rows = i == 1 ? 0 : 37 + 30 * i;  // one of them without rows
          matrices.emplace_back(mix[i], rows, kColumns, i);
          expected.push_back(multiply(fast(), pool, matrices[i].view, x.data(), tokens));
          found.emplace_back(tokens * rows);
        }
        std::vector<MatmulPart> parts;
        for (size_t i = 0; i < mix.size(); ++i) {
          tensor::MatrixView& view = matrices[i].view;
          panels.push_back(*tensor::Storage::allocate(panels_size(fast(), view)));
          if (i != 2 && panels[i].bytes() > 0) {  // the third as it lies in the file
            copy_as_panels(fast(), pool, view, panels[i].data(), [](std::span<const std::byte>) {});
            view.panels = panels[i].data();
          }
          parts.push_back({&view, found[i].data(), view.rows});
        }
        auto activations = Activations::create(tokens, kColumns);
        activations->set(x.data(), kColumns, tokens, kColumns);
        matmul(fast(), pool, parts, *activations);
        for (size_t i = 0; i < mix.size(); ++i) ASSERT_EQ(found[i], expected[i]) << tokens << " tokens, product " << i;
      }
    }
  }
}

/// Any bytes are weights: what no correct writer leaves in a file must give the same numbers too.
TEST_P(Matmul, ExtremeQuantaAreExact) {
  ThreadPool pool(1);
  for (DType type : kTypes) {
    if (tensor::block_elements(type) == 1) continue;
    for (uint8_t byte : {0x00, 0x80, 0xff, 0x7f, 0x3c, 0xd5}) {
      const size_t columns = 2 * tensor::kSuperBlock;
      Matrix w(type, 9, columns, 5);
      const std::vector<std::byte> before = w.bytes;
      std::fill(w.bytes.begin(), w.bytes.end(), std::byte{byte});
      const uint16_t one = 0x3c00;
      const size_t block = tensor::block_bytes(type);
      const bool scale_last = type == DType::kQ2_K || type == DType::kQ3_K || type == DType::kQ6_K ||
                              type == DType::kTQ1_0 || type == DType::kTQ2_0;
      const bool has_min = type == DType::kQ2_K || type == DType::kQ4_K || type == DType::kQ5_K ||
                           type == DType::kQ4_1 || type == DType::kQ5_1;
      for (size_t at = 2; at < w.bytes.size(); at += block) {
        const size_t scale = scale_last ? block - (has_min ? 4 : 2) : 0;
        for (size_t k = 0; k < (has_min ? 2 : 1); ++k) std::memcpy(&w.bytes[at + scale + 2 * k], &one, 2);
      }
      std::vector<float> x(20 * columns);
      for (size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? -1.0F : 1.0F;
      EXPECT_EQ(multiply(fast(), pool, w.view, x.data(), 20),
                multiply(ref::table(), pool, w.view, x.data(), 20));
      EXPECT_EQ(multiply(fast(), pool, w.view, x.data(), 1),
                multiply(ref::table(), pool, w.view, x.data(), 1));
    }
  }
}

TEST_P(Pack, EqualsRef) {
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

TEST_P(Pack, SuperBlocksEqualRef) {
  constexpr size_t kEach = tensor::kSuperBlock / kBlock;
  for (size_t blocks = 0; blocks <= 4 * kEach; blocks += kEach) {
    for (size_t rows = 1; rows <= 8; ++rows) {
      auto values = random_floats(rows * blocks * kBlock, rows * 7 + blocks, 1e-3F);
      if (blocks > kEach) std::fill_n(values.begin(), tensor::kSuperBlock, 0.0F);
      if (blocks > 2 * kEach) std::fill_n(values.begin() + tensor::kSuperBlock, tensor::kSuperBlock, 1e-38F);
      Odd x(values);
      std::vector<ActivationTile> a(blocks), b(blocks);
      ref::table().pack_super_tiles(x.data(), blocks * kBlock, rows, blocks, a.data());
      fast().pack_super_tiles(x.data(), blocks * kBlock, rows, blocks, b.data());
      EXPECT_TRUE(blocks == 0 || std::memcmp(a.data(), b.data(), blocks * sizeof(ActivationTile)) == 0);
      std::vector<ActivationBlock> c(blocks), d(blocks);
      ref::table().pack_super_blocks(x.data(), blocks, c.data());
      fast().pack_super_blocks(x.data(), blocks, d.data());
      EXPECT_TRUE(blocks == 0 || std::memcmp(c.data(), d.data(), blocks * sizeof(ActivationBlock)) == 0);
    }
  }
}

TEST_P(Elementwise, AgreesWithRefAtAllLengths) {
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

TEST_P(Elementwise, AddAndHalvesAreExact) {
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

TEST_P(Elementwise, GegluAgreesWithRefAtAllLengths) {
  for (size_t n = 0; n <= 33; ++n) {
    const auto values = random_floats(n, n + 1, 3.0F);
    Odd a(values), b(values), w(random_floats(n, n + 99));
    ref::table().geglu(a.data(), w.data(), n);
    fast().geglu(b.data(), w.data(), n);
    // 1 + tanh(u) of ref cancels where u is far below zero: 2^-23 of x * w there; exp within 3e-7 elsewhere.
    for (size_t i = 0; i < n; ++i) {
      const float most = std::fabs(values[i] * w.data()[i]);
      EXPECT_NEAR(a.data()[i], b.data()[i], 1e-6F * most) << values[i];
    }
  }
  std::vector<float> ends{-1000, -20, -5, 0, 20, 1000}, same = ends;
  const std::vector<float> up(6, 1.0F);
  ref::table().geglu(ends.data(), up.data(), 6);
  fast().geglu(same.data(), up.data(), 6);
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(ends[i], same[i], 1e-5F + 1e-6F * std::fabs(ends[i])) << i;
}

TEST_P(Elementwise, SwigluAtTheEndsOfTheRange) {
  std::vector<float> a{-1000, -88, -87.3F, -20, 0, 20, 88, 1000}, b = a;
  const std::vector<float> up(8, 1.0F);
  ref::table().swiglu(a.data(), up.data(), 8);
  fast().swiglu(b.data(), up.data(), 8);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(a[i], b[i], 1e-6F * std::fabs(a[i]) + 1e-30F) << i;
}

TEST_P(Rope, EqualsRefAtAllLengths) {
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

TEST(Dispatch, NamesAreChecked) {
  EXPECT_STREQ((*table_by_name("ref"))->name, "ref");
  const auto unknown = table_by_name("avx99");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace bantam::kernels
