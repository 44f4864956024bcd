#include "model/adapters.h"

#include <gmock/gmock.h>

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
