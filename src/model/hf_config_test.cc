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
      {{{"model_type", "mistral"}, {"attention_bias", true}}, Code::kUnsupported},
      {{{"model_type", "phi3"}, {"attention_bias", true}}, Code::kUnsupported},
      {{{"attention_bias", 1}}, Code::kCorrupt},
      {{{"model_type", "gemma3_text"}, {"use_bidirectional_attention", true}}, Code::kUnsupported},
      {{{"eos_token_id", -1}}, Code::kCorrupt},
      {{{"eos_token_id", {1, "x"}}}, Code::kCorrupt},
      {{{"partial_rotary_factor", 0.5}}, Code::kUnsupported},
      {{{"model_type", "qwen3"}, {"rope_parameters", {{"partial_rotary_factor", 0.5}}}}, Code::kUnsupported},
      {{{"model_type", "phi3"}, {"partial_rotary_factor", 0.001}}, Code::kCorrupt},
      {{{"model_type", "phi3"}, {"partial_rotary_factor", 1.5}}, Code::kCorrupt},
      {{{"model_type", "phi3"}, {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}, Code::kUnsupported},
      {{{"rope_scaling", {{"type", "su"}}}}, Code::kUnsupported},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0}}}}, Code::kCorrupt},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", -4}}}}, Code::kCorrupt},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 1e-9}}}}, Code::kCorrupt},
      {{{"rope_scaling",
         {{"rope_type", "llama3"},
          {"factor", 1e-45},
          {"low_freq_factor", 1e-45},
          {"high_freq_factor", 64},
          {"original_max_position_embeddings", 1}}}},
       Code::kCorrupt},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}, {"attention_factor", 0}}}}, Code::kCorrupt},
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
  const auto plain = with({});
  ASSERT_TRUE(plain);
  ASSERT_TRUE(write_hf_config(*plain, "float32", {}));
  const std::pair<const char*, void (*)(HfConfig&)> cases[] = {
      {"logit_scale", [](HfConfig& hf) { hf.config.logit_scale = 2; }},
      {"rope.dimension_count: found 32", [](HfConfig& hf) { hf.config.rope_dims = 32; }},
      {"rope.scaling.attn_factor", [](HfConfig& hf) { hf.config.rope_scaling.magnitude = 1.5F; }},
      {"biases of attention: found those of queries, keys and values,",
       [](HfConfig& hf) { hf.biases = HfBiases::kQkv; }},
      {"as a mistral model",
       [](HfConfig& hf) {
         hf.biases = HfBiases::kAll;
         hf.config.sliding_window = 8;
       }}};
  for (const auto& [message, change] : cases) {
    HfConfig hf = *plain;
    change(hf);
    const auto written = write_hf_config(hf, "float32", {});
    ASSERT_FALSE(written) << message;
    EXPECT_EQ(written.error().code, Code::kUnsupported) << message;
    EXPECT_THAT(written.error().message, HasSubstr(message));
  }
}

TEST(HfConfig, DepthHasALimit) {
  const auto deep = read_hf_config(R"({"x":)" + std::string(1'000'000, '['));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Code::kLimit);
  EXPECT_THAT(deep.error().message, HasSubstr("config.json: nested"));
}

/// A phi3 of 64 channels a head, of which `part` rotate; 4096 tokens made 131072.
Json phi3(double part, size_t factors) {
  return {{"model_type", "phi3"},
          {"partial_rotary_factor", part},
          {"original_max_position_embeddings", 4096},
          {"rope_scaling",
           {{"type", "longrope"},
            {"short_factor", std::vector<double>(factors, 1.25)},
            {"long_factor", std::vector<double>(factors, 2.5)}}}};
}

TEST(HfConfig, Phi3SaysLongRopeInThreeFields) {
  Json changes = phi3(0.75, 24);
  const auto hf = with(changes);
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_EQ(hf->config.rope_dims, 48U);
  EXPECT_EQ(hf->rope_short, std::vector<float>(24, 1.25F));
  EXPECT_EQ(hf->rope_long, std::vector<float>(24, 2.5F));
  EXPECT_EQ(hf->config.rope_scaling.original_context, 4096U);
  EXPECT_FLOAT_EQ(hf->config.rope_scaling.magnitude, 1.19023807F);  // sqrt(1 + ln 32 / ln 4096)
  const auto text = write_hf_config(*hf, "bfloat16", {});
  ASSERT_TRUE(text) << text.error().message;
  const Json written = Json::parse(*text);
  EXPECT_EQ(written["rope_scaling"], changes["rope_scaling"]);
  EXPECT_EQ(written["original_max_position_embeddings"], 4096);
  EXPECT_EQ(written["partial_rotary_factor"], 0.75);
  const auto again = read_hf_config(*text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->config, hf->config);
  EXPECT_EQ(again->rope_short, hf->rope_short);
  EXPECT_EQ(again->rope_long, hf->rope_long);
  // The older names are the same; elsewhere yarn is YaRN.
  for (const char* old : {"su", "yarn"}) {
    changes["rope_scaling"]["type"] = old;
    const auto older = with(changes);
    ASSERT_TRUE(older) << older.error().message;
    EXPECT_EQ(older->config, hf->config);
    EXPECT_EQ(older->rope_long, hf->rope_long);
  }
  // Later files have all of it in one object.
  Json together = changes["rope_scaling"];
  together.erase("type");
  together.update({{"rope_type", "longrope"}, {"partial_rotary_factor", 0.75}, {"original_max_position_embeddings", 4096}});
  const auto later = with({{"model_type", "phi3"}, {"rope_parameters", together}});
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(later->config, hf->config);
}

TEST(HfConfig, PartsOfAHeadKeepTheirNumberOfChannels) {
  for (uint32_t channels = 2; channels < 96; channels += 2) {
    Json changes = phi3(1, 48);
    changes["head_dim"] = 96;
    auto hf = with(changes);
    ASSERT_TRUE(hf) << hf.error().message;
    hf->config.rope_dims = channels;
    hf->rope_short.resize(channels / 2);
    hf->rope_long.resize(channels / 2);
    const auto again = read_hf_config(write_hf_config(*hf, "float32", {}).value());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->config.rope_dims, channels);
  }
}

TEST(HfConfig, BadFactorsAreNamed) {
  const auto refused = [](const char* list, Json value) {
    Json changes = phi3(1, 32);
    changes["rope_scaling"][list] = std::move(value);
    const auto hf = with(changes);
    return hf ? "read" : hf.error().message;
  };
  std::vector<double> bad(32, 1);
  for (double value : {0.0, -1.0, 1e300, 1e-60}) {
    bad[7] = value;
    EXPECT_THAT(refused("long_factor", bad), HasSubstr("config.json: rope_scaling.long_factor[7]: found ")) << value;
  }
  bad.resize(31);
  EXPECT_THAT(refused("short_factor", bad),
              HasSubstr("config.json: rope_scaling.short_factor: found 31 entries, expected 32"));
  EXPECT_THAT(refused("short_factor", 3), HasSubstr("rope_scaling.short_factor: found 3, expected a list of 32"));
}

TEST(HfConfig, AttentionBiasThereAndBack) {
  for (const char* type : {"llama", "qwen3", "granite", "gemma"}) {
    const auto hf = with({{"model_type", type}, {"attention_bias", true}});
    ASSERT_TRUE(hf) << hf.error().message;
    EXPECT_EQ(hf->biases, HfBiases::kAll);
    const auto text = write_hf_config(*hf, "float32", {});
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(Json::parse(*text)["attention_bias"], true);
    EXPECT_EQ(read_hf_config(*text)->biases, HfBiases::kAll) << type;
  }
  EXPECT_EQ(with({})->biases, HfBiases::kNone);
  EXPECT_EQ(with({{"model_type", "qwen2"}})->biases, HfBiases::kQkv);
}

TEST(HfConfig, AllEndsAreWritten) {
  EXPECT_THAT(with({{"eos_token_id", 3}})->ends, testing::ElementsAre(3));
  EXPECT_THAT(with({{"eos_token_id", {3, 1}}})->ends, testing::ElementsAre(3, 1));
  const Json one = Json::parse(write_hf_generation({.bos = 1, .padding = {}, .ends = {2}}));
  EXPECT_EQ(one["eos_token_id"], 2);
  const Json more = Json::parse(write_hf_generation({.bos = {}, .padding = 0, .ends = {2, 5, 7}}));
  EXPECT_EQ(more["eos_token_id"], Json({2, 5, 7}));
  EXPECT_EQ(more["pad_token_id"], 0);
}

}  // namespace
}  // namespace bantam::model
