// Attention against kernels/ref; the bound of each error stands beside it.

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/convert.h"
#include "kernels/isa_for_test.h"
#include "kernels/matmul.h"

namespace bantam::kernels {
namespace {

using tensor::DType;

class Attend : public ForEachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, Attend, kIsas, isa_name);

/// Keys and values in pages that lie apart, from the `skip`'th of a sequence of random ones on.
struct AttentionCase {
  AttentionCase(size_t keys, size_t head_dim, DType type, size_t skip = 0) {
    const size_t unit = std::max<size_t>(8, tensor::block_elements(type));
    stride = (head_dim + unit - 1) / unit * unit;
    const size_t row_bytes = tensor::row_bytes(type, stride);
    keys_at = type == DType::kF32 ? sizeof(float) : sizeof(uint16_t);  // no more aligned than an element
    values_at = keys_at + kKeyTile * row_bytes + keys_at;
    memory.resize((keys + kKeyTile - 1) / kKeyTile);
    for (auto& page : memory) page.resize(values_at + kKeyTile * row_bytes);
    for (const auto& page : memory) pages.push_back(page.data());
    for (const size_t at : {keys_at, values_at}) {
      auto numbers = random_floats((skip + keys) * stride, at == keys_at ? 1 : 2);
      for (size_t j = 0; j < keys; ++j) {
        float* row = numbers.data() + (skip + j) * stride;
        std::fill(row + head_dim, row + stride, 0.0F);
        quantize_row(type, row, stride, memory[j / kKeyTile].data() + at + j % kKeyTile * row_bytes);
      }
    }
  }
  size_t stride = 0, keys_at = 0, values_at = 0;
  std::vector<std::vector<std::byte>> memory;
  std::vector<const std::byte*> pages;
};

void expect_attention(size_t keys, size_t head_dim, DType type, uint32_t window, float softcap) {
  const AttentionCase c(keys, head_dim, type);
  const size_t queries = std::min<size_t>(keys, 5);
  const auto q = random_floats(queries * head_dim, 3, 2.0F);
  std::vector<uint32_t> positions(queries);
  for (size_t t = 0; t < queries; ++t) positions[t] = static_cast<uint32_t>(keys - queries + t);
  std::vector<float> a(queries * head_dim), b(queries * head_dim);
  Attention attention{.q = q.data(),
                      .q_stride = head_dim,
                      .positions = positions.data(),
                      .queries = queries,
                      .pages = c.pages.data(),
                      .keys = c.keys_at,
                      .values = c.values_at,
                      .kv_stride = c.stride,
                      .head_dim = head_dim,
                      .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                      .out = a.data(),
                      .out_stride = head_dim,
                      .window = window,
                      .softcap = softcap};
  attend(ref::table(), type, attention);
  attention.out = b.data();
  attend(fast(), type, attention);
  // Scores are below 20 with relative error 1e-6, so weights err by 2e-5; values are below 5.
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], 2e-5F) << head_dim << " " << keys << " window " << window << " cap " << softcap;
  }
}

TEST_P(Attend, AgreesWithRef) {
  for (DType type : {DType::kF32, DType::kF16, DType::kQ8_0}) {
    for (size_t head_dim : {2, 6, 8, 16, 24, 32, 40, 64, 72, 128}) {
      for (size_t keys : {1, 2, 7, 8, 9, 16, 63, 64, 65, 127, 128, 200}) {
        expect_attention(keys, head_dim, type, 0, 0);
      }
    }
  }
}

TEST_P(Attend, WindowsAndCapsAgreeWithRef) {
  for (size_t head_dim : {8, 24, 64}) {
    for (size_t keys : {1, 2, 7, 9, 64, 65, 127, 200}) {
      for (uint32_t window : {0U, 1U, 7U, 16U, 64U, 100U, 300U}) {
        for (float softcap : {0.0F, 2.0F, 50.0F}) {
          for (DType type : {DType::kF16, DType::kQ8_0}) expect_attention(keys, head_dim, type, window, softcap);
        }
      }
    }
  }
}

/// Heads of a group and queries of a batch each have the bits that they have alone, and ref's numbers.
TEST_P(Attend, ARowDoesNotDependOnItsNeighbours) {
  constexpr size_t kQueries = 19, kGroup = 3;
  for (size_t head_dim : {8, 24, 64, 80}) {
    for (uint32_t window : {0U, 70U}) {
      const AttentionCase c(150, head_dim, DType::kF16);
      const size_t width = kGroup * head_dim;
      const auto q = random_floats(kQueries * width, 3, 2.0F);
      std::vector<uint32_t> positions(kQueries);
      for (size_t t = 0; t < kQueries; ++t) positions[t] = static_cast<uint32_t>(131 + t);
      std::vector<float> all(kQueries * width), expected(kQueries * width), alone(head_dim);
      Attention a{.q = q.data(),
                  .q_stride = width,
                  .positions = positions.data(),
                  .queries = kQueries,
                  .pages = c.pages.data(),
                  .keys = c.keys_at,
                  .values = c.values_at,
                  .kv_stride = c.stride,
                  .head_dim = head_dim,
                  .scale = 0.2F,
                  .out = all.data(),
                  .out_stride = width,
                  .window = window,
                  .group = kGroup};
      attend(fast(), DType::kF16, a);
      a.out = expected.data();
      attend(ref::table(), DType::kF16, a);
      for (size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], expected[i], 2e-5F);
      a.queries = a.group = 1;
      a.out = alone.data();
      for (size_t t = 0; t < kQueries; ++t) {
        for (size_t head = 0; head < kGroup; ++head) {
          a.q = q.data() + t * width + head * head_dim;
          a.positions = &positions[t];
          attend(fast(), DType::kF16, a);
          ASSERT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + t * width + head * head_dim))
              << head_dim << " query " << t << " head " << head;
        }
      }
    }
  }
}

TEST_P(Attend, AWindowIsTheKeysWithinIt) {
  const AttentionCase c(40, 16, DType::kF32), later(10, 16, DType::kF32, 30);
  const auto q = random_floats(16, 3);
  const uint32_t last = 39, within = 9;
  std::vector<float> windowed(16), alone(16);
  Attention a{.q = q.data(),
              .q_stride = 16,
              .positions = &last,
              .queries = 1,
              .pages = c.pages.data(),
              .keys = c.keys_at,
              .values = c.values_at,
              .kv_stride = 16,
              .head_dim = 16,
              .scale = 0.25F,
              .out = windowed.data(),
              .out_stride = 16,
              .window = 10};
  attend(ref::table(), DType::kF32, a);
  a.positions = &within;
  a.pages = later.pages.data();
  a.window = 0;
  a.out = alone.data();
  attend(ref::table(), DType::kF32, a);
  EXPECT_EQ(windowed, alone);
}

}  // namespace
}  // namespace bantam::kernels
