#include "compress/mix.h"

#include <gtest/gtest.h>

namespace bantam::compress {
namespace {

using formats::GgmlType;

TEST(Mix, NamesInAnyCaseAndAliases) {
  EXPECT_EQ(mix_from_name("q4_k_m")->name, "Q4_K_M");
  EXPECT_EQ(mix_from_name("Q4_K")->name, "Q4_K_M");
  EXPECT_EQ(mix_from_name("Q4_K", true)->rules, Mix::Rules::kPure);
  EXPECT_EQ(mix_from_name("Q4_K", true)->base, GgmlType::kQ4_K);
  const auto unknown = mix_from_name("q9");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("IQ4_XS"), std::string::npos);
  EXPECT_FALSE(mix_from_name("Q4_K_M", true));  // no tensor type
}

TEST(Mix, MoreBitsWhereTheyAreNeeded) {
  const auto mix = *mix_from_name("Q4_K_M");
  const MixModel model{.layers = 16, .queries_per_key = 3, .has_output = true};
  const auto type = [&](const char* name) { return mixed_type(mix, model, name, 512); };
  EXPECT_EQ(type("output.weight"), GgmlType::kQ6_K);
  EXPECT_EQ(type("token_embd.weight"), GgmlType::kQ4_K);
  EXPECT_EQ(type("blk.0.attn_v.weight"), GgmlType::kQ6_K);  // first eighth
  EXPECT_EQ(type("blk.2.ffn_down.weight"), GgmlType::kQ4_K);
  EXPECT_EQ(type("blk.4.ffn_down.weight"), GgmlType::kQ6_K);   // every third after it
  EXPECT_EQ(type("blk.15.ffn_down.weight"), GgmlType::kQ6_K);  // last eighth
  EXPECT_EQ(type("blk.2.attn_qkv.weight"), GgmlType::kQ5_K);
  EXPECT_EQ(type("blk.2.attn_q.weight"), GgmlType::kQ4_K);
  EXPECT_EQ(type("position_embd.weight"), GgmlType::kF32);
  const MixModel tied{.layers = 16, .queries_per_key = 3, .has_output = false};
  EXPECT_EQ(mixed_type(mix, tied, "token_embd.weight", 512), GgmlType::kQ6_K);
}

TEST(Mix, SharedKeysGetMoreBitsAtTwo) {
  const auto mix = *mix_from_name("Q2_K");
  EXPECT_EQ(mixed_type(mix, {.layers = 4, .queries_per_key = 4}, "blk.1.attn_v.weight", 256),
            GgmlType::kQ4_K);
  EXPECT_EQ(mixed_type(mix, {.layers = 4, .queries_per_key = 2}, "blk.1.attn_v.weight", 256),
            GgmlType::kQ3_K);
}

TEST(Mix, RowsThatAreNotWholeBlocksGetTheNextLargerType) {
  const MixModel model{.layers = 4, .has_output = true};
  const std::pair<const char*, GgmlType> expected[] = {
      {"Q2_K", GgmlType::kIQ4_NL}, {"Q3_K", GgmlType::kIQ4_NL}, {"IQ4_XS", GgmlType::kIQ4_NL},
      {"Q4_K", GgmlType::kQ5_0},   {"Q5_K", GgmlType::kQ5_1},   {"Q6_K", GgmlType::kQ8_0},
      {"TQ1_0", GgmlType::kQ4_0}};
  for (const auto& [name, type] : expected) {
    EXPECT_EQ(mixed_type(*mix_from_name(name, true), model, "blk.1.ffn_up.weight", 96), type) << name;
    EXPECT_EQ(mixed_type(*mix_from_name(name, true), model, "blk.1.ffn_up.weight", 40), GgmlType::kF16);
  }
  EXPECT_EQ(mixed_type(*mix_from_name("Q4_K_M"), model, "output.weight", 96), GgmlType::kQ8_0);
}

}  // namespace
}  // namespace bantam::compress
