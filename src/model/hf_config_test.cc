#include "model/hf_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace bantam::model {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Json plain() {
  return {{"model_type", "llama"},    {"vocab_size", 320},      {"max_position_embeddings", 131072},
          {"hidden_size", 32},        {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"head_dim", 64},         {"intermediate_size", 64},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 500000.0}, {"tie_word_embeddings", true}};
}

Result<HfConfig> with(const Json& changes) {
  Json json = plain();
  if (changes.is_object()) json.update(changes);
  return read_hf_config(json.dump());
}

TEST(HfConfig, WrongOnesAreNamed) {
  for (const char* bad : {"", "[]", "{", "{}", R"({"model_type": 3})"})
    EXPECT_FALSE(read_hf_config(bad)) << bad;
  const std::pair<Json, Code> cases[] = {
      {{{"model_type", "gpt2"}}, Code::kUnsupported},
      {{{"hidden_act", "relu"}}, Code::kUnsupported},
      {{{"mlp_bias", true}}, Code::kUnsupported},
      {{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}, Code::kUnsupported},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, Code::kCorrupt},
      {{{"rope_scaling", 3}}, Code::kCorrupt},
      {{{"vocab_size", -3}}, Code::kCorrupt},
      {{{"vocab_size", "x"}}, Code::kCorrupt},
      {{{"num_attention_heads", 3}}, Code::kCorrupt},
      {{{"num_attention_heads", 0}, {"head_dim", nullptr}}, Code::kCorrupt},
      {{{"model_type", "qwen2"}, {"use_sliding_window", true}, {"sliding_window", 9}}, Code::kUnsupported}};
  for (const auto& [changes, code] : cases) {
    const auto found = with(changes);
    ASSERT_FALSE(found) << changes;
    EXPECT_EQ(found.error().code, code) << found.error().message;
    EXPECT_THAT(found.error().message, HasSubstr("config.json: "));
  }
}

TEST(HfConfig, Llama3FactorsThereAndBack) {
  const Json scaling{{"rope_type", "llama3"},
                     {"factor", 32.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 8192}};
  const auto hf = with({{"rope_scaling", scaling}});
  ASSERT_TRUE(hf) << hf.error().message;
  ASSERT_EQ(hf->rope_factors.size(), 32U);
  EXPECT_EQ(hf->rope_factors.front(), 1);
  EXPECT_EQ(hf->rope_factors.back(), 32);
  const auto text = write_hf_config(*hf, "bfloat16", {});
  ASSERT_TRUE(text) << text.error().message;
  const Json written = Json::parse(*text);
  EXPECT_EQ(written["rope_scaling"], scaling);
  EXPECT_EQ(read_hf_config(*text)->rope_factors, hf->rope_factors);
  // Other numbers are found from the factors' shape.
  const Llama3Scaling odd{.factor = 6, .low = 1, .high = 3, .original_context = 5000};
  const auto fitted = fit_llama3(llama3_factors(odd, 500000, 64), 500000);
  ASSERT_TRUE(fitted);
  EXPECT_EQ(fitted->factor, 6);
  EXPECT_EQ(fitted->high, 3);
  EXPECT_EQ(fitted->original_context, 5000U);
  EXPECT_FALSE(fit_llama3({1, 2, 3, 4, 5}, 10000));
}

TEST(HfConfig, LaterFilesKeepRopeTogether) {
  const auto hf =
      with({{"rope_theta", nullptr},
            {"rope_parameters", {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 7000.0}}}});
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_EQ(hf->config.rope_base, 7000);
  EXPECT_EQ(hf->config.rope_scaling.factor, 4);
}

TEST(HfConfig, WindowsOfGemma3) {
  Json types = Json::array();
  for (int i = 0; i < 8; ++i) types.push_back((i + 1) % 4 == 0 ? "full_attention" : "sliding_attention");
  Json changes{{"model_type", "gemma3_text"},
               {"num_hidden_layers", 8},
               {"sliding_window", 512},
               {"layer_types", types}};
  const auto hf = with(changes);
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_EQ(hf->config.window_pattern, 4U);
  EXPECT_EQ(hf->config.window_rope_base, 10000);
  changes["layer_types"][0] = "full_attention";
  EXPECT_EQ(with(changes).error().code, Code::kUnsupported);
}

TEST(HfConfig, WhatHasNoFieldIsRefused) {
  auto hf = with({});
  ASSERT_TRUE(hf);
  hf->config.logit_scale = 2;
  EXPECT_THAT(write_hf_config(*hf, "float32", {}).error().message, HasSubstr("logit_scale"));
}

}  // namespace
}  // namespace bantam::model
