#include "model/adapters.h"

#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

#include "model/adapter_for_test.h"

namespace bantam::model {
namespace {

using formats::GgufFile;
using testing::HasSubstr;
using Draft = AdapterDraft;

constexpr const char* kQuery = "blk.0.attn_q.weight";

TEST(AdapterFile, ReadsPairs) {
  const auto base = adapted_model();
  Draft draft;
  draft.pair(kQuery, 32, 32, 2);
  auto read = draft.read(base);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->parts().size(), 1u);
  EXPECT_EQ(read->parts()[0].tensor, kQuery);
  EXPECT_EQ(read->parts()[0].factor, 2.0F) << "alpha / rank";
  EXPECT_EQ(read->bytes(), 2 * 2 * 32 * sizeof(float));
}

TEST(AdapterFile, ErrorsNameFileAndTensor) {
  const auto base = adapted_model();
  const auto error_of = [&](Draft& draft) {
    auto read = draft.read(base);
    EXPECT_FALSE(read);
    if (read) return Error{};
    EXPECT_THAT(read.error().message, HasSubstr("bantam-draft"));
    return read.error();
  };
  {
    Draft draft;
    draft.pair(kQuery, 31, 32, 2);
    EXPECT_THAT(error_of(draft).message,
                HasSubstr("blk.0.attn_q.weight.lora_a: found shape [31, 2], expected [32, 2]"));
  }
  {
    Draft draft;
    draft.pair(kQuery, 32, 33, 2);
    EXPECT_THAT(error_of(draft).message, HasSubstr("lora_b: found shape [2, 33], expected [2, 32]"));
  }
  {
    Draft draft;  // A and B of different ranks
    draft.matrix(std::string(kQuery) + ".lora_a", 32, 2);
    draft.matrix(std::string(kQuery) + ".lora_b", 3, 32);
    EXPECT_THAT(error_of(draft).message, HasSubstr("found shape [3, 32], expected [2, 32]"));
  }
  {
    Draft draft;
    draft.pair("blk.7.attn_q.weight", 32, 32, 2);
    const Error error = error_of(draft);
    EXPECT_EQ(error.code, Code::kInvalidArgument);
    EXPECT_THAT(error.message, HasSubstr("blk.7.attn_q.weight.lora_a"));
  }
  {
    Draft draft;
    draft.matrix(std::string(kQuery) + ".lora_a", 32, 2);
    EXPECT_THAT(error_of(draft).message, HasSubstr("lora_b: found no such tensor"));
  }
  {
    Draft draft;
    draft.pair(kQuery, 32, 32, 2);
    draft.matrix("blk.0.attn_k.weight.lora_b", 2, 32);
    EXPECT_THAT(error_of(draft).message, HasSubstr("blk.0.attn_k.weight.lora_b"));
  }
  {
    Draft draft;
    draft.pair(kQuery, 32, 32, 2);
    draft.matrix("blk.0.attn_norm.weight", 32, 1);
    EXPECT_EQ(error_of(draft).code, Code::kUnsupported);
  }
  {
    Draft draft;
    draft.pair(kQuery, 32, 32, 2);
    draft.file.set("general.architecture", std::string("qwen2"));
    EXPECT_THAT(error_of(draft).message,
                HasSubstr("general.architecture: found \"qwen2\", expected \"llama\""));
  }
  for (const char* key : {"general.type", "adapter.type"}) {
    Draft draft;
    draft.pair(kQuery, 32, 32, 2);
    draft.file.set(key, std::string("model"));
    EXPECT_THAT(error_of(draft).message, HasSubstr(key));
  }
  {
    Draft draft;
    draft.pair(kQuery, 32, 32, 2);
    draft.file.set("adapter.alora.invocation_tokens", formats::GgufArray(std::vector<uint32_t>{1, 2}));
    EXPECT_EQ(error_of(draft).code, Code::kUnsupported);
  }
  {
    Draft draft;
    EXPECT_EQ(error_of(draft).code, Code::kCorrupt) << "no tensors";
  }
}

TEST(Adapters, MoreRowsThanThereIsRoomFor) {
  const auto base = adapted_model();
  auto config = read_config(base);
  ASSERT_TRUE(config);
  auto weights = map_weights(base, *config);
  ASSERT_TRUE(weights);
  Draft draft;
  draft.matrix("token_embd.weight.lora_a", 3, weights->output.rows);  // the head too
  draft.matrix("token_embd.weight.lora_b", 3, 32);
  auto file = draft.read(base);
  ASSERT_TRUE(file) << file.error().message;
  Adapters adapters;
  adapters.add(std::move(*file), *weights, *config);
  constexpr size_t kTokens = 2;
  auto buffers = AdapterBuffers::create(adapters, kTokens);
  ASSERT_TRUE(buffers);
  ThreadPool pool(1);
  const Adapters::Place place{kernels::ref::table(), pool, *buffers};
  const std::vector<float> scales{1};
  std::vector<float> x(kTokens * 32);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  std::vector<int32_t> rows(150'000);
  const size_t vocabulary = weights->output.rows;
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i * 7 % vocabulary);
  std::vector<float> whole(kTokens * vocabulary), some(kTokens * rows.size());
  adapters.add_product(weights->output, x.data(), 32, kTokens, scales, place, whole.data(), vocabulary);
  adapters.add_product(weights->output, x.data(), 32, kTokens, scales, place, some.data(), rows.size(), rows);
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t i = 0; i < rows.size(); ++i)
      ASSERT_EQ(some[t * rows.size() + i], whole[t * vocabulary + static_cast<size_t>(rows[i])]) << i;
  }
}

TEST(Adapters, ARowOfTheMergedMatrix) {
  const auto base = adapted_model();
  Draft draft;
  draft.pair(kQuery, 32, 32, 2);
  draft.matrix("token_embd.weight.lora_a", 3, base.find_tensor("token_embd.weight")->shape[1]);
  draft.matrix("token_embd.weight.lora_b", 3, 32);
  auto read = draft.read(base);
  ASSERT_TRUE(read) << read.error().message;
  for (const LowRank& part : read->parts()) {
    const auto value = [](const MatrixView& m, size_t i, size_t j) {
      return reinterpret_cast<const float*>(m.row(i))[j];
    };
    std::vector<float> row(32, 1.0F);
    add_low_rank_row(part, 0.5F, 5, row);
    for (size_t c = 0; c < 32; ++c) {
      double expected = 0;
      for (size_t r = 0; r < part.b.columns; ++r)
        expected += part.table ? value(part.a, 5, r) * value(part.b, c, r)
                               : value(part.b, 5, r) * value(part.a, r, c);
      EXPECT_NEAR(row[c], 1 + 0.5 * part.factor * expected, 1e-4) << part.tensor << " " << c;
    }
  }
}

}  // namespace
}  // namespace bantam::model
