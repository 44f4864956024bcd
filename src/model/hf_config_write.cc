// config.json and generation_config.json out of a model's values.

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "model/family.h"
#include "model/hf_config.h"
#include "model/hf_names.h"

namespace bantam::model {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// The shortest decimal number that is this float: 0.22 rather than 0.2199999988079071.
double decimal(float x) { return std::strtod(fmt::format("{}", x).c_str(), nullptr); }

OrderedJson decimals(const std::vector<float>& values) {
  OrderedJson out = OrderedJson::array();
  for (float x : values) out.push_back(decimal(x));
  return out;
}

OrderedJson one_or_all(const std::vector<int64_t>& ids) {
  return ids.size() == 1 ? OrderedJson(ids[0]) : OrderedJson(ids);
}

OrderedJson llama3_json(const Llama3Scaling& s) {
  return {{"rope_type", "llama3"},
          {"factor", s.factor},
          {"low_freq_factor", s.low},
          {"high_freq_factor", s.high},
          {"original_max_position_embeddings", s.original_context}};
}

OrderedJson longrope_json(const std::vector<float>& in_short, const std::vector<float>& in_long,
                          uint32_t original, float magnitude) {
  return {{"rope_type", "longrope"},
          {"type", "longrope"},
          {"short_factor", decimals(in_short)},
          {"long_factor", decimals(in_long)},
          {"original_max_position_embeddings", original},
          {"attention_factor", decimal(magnitude)}};
}

/// As phi3's class reads it: three fields, the original context beside them. A fourth, which its older
/// versions refuse, only where the magnitude does not follow.
OrderedJson phi3_longrope_json(const std::vector<float>& in_short, const std::vector<float>& in_long,
                               const Config& c, uint32_t original) {
  OrderedJson out{
      {"type", "longrope"}, {"short_factor", decimals(in_short)}, {"long_factor", decimals(in_long)}};
  const auto usual = static_cast<float>(longrope_magnitude(c.context_length, original));
  if (c.rope_scaling.magnitude != usual) out["attention_factor"] = decimal(c.rope_scaling.magnitude);
  return out;
}

/// rope_scaling, null where nothing is scaled. Factors that are not Llama 3's are LongRoPE's with one list.
Result<OrderedJson> scaling_json(const HfConfig& in) {
  const Config& c = in.config;
  const RopeScaling& s = c.rope_scaling;
  const bool lists = !in.rope_short.empty() || !in.rope_long.empty();
  if (static_cast<int>(lists) + !in.rope_factors.empty() + (s.type != RopeScaling::Type::kNone) > 1)
    return fail(Code::kUnsupported, "RoPE: found two ways of scaling, expected one that config.json can say");
  const uint32_t original = s.original_context > 0 ? s.original_context : c.context_length;
  if (c.architecture == "phi3") {
    if (s.type != RopeScaling::Type::kNone)
      return fail(Code::kUnsupported,
                  "rope.scaling.type: found {} in a phi3 model, expected longrope or none, as its config.json "
                  "can say no other",
                  s.type == RopeScaling::Type::kYarn ? "yarn" : "linear");
    if (lists || !in.rope_factors.empty()) {
      const auto& one = in.rope_factors;
      const auto& given_short = !one.empty() ? one : in.rope_short.empty() ? in.rope_long : in.rope_short;
      const auto& given_long = !one.empty() ? one : in.rope_long.empty() ? in.rope_short : in.rope_long;
      return phi3_longrope_json(given_short, given_long, c, original);
    }
  }
  if (lists) {
    const auto& given_short = in.rope_short.empty() ? in.rope_long : in.rope_short;
    const auto& given_long = in.rope_long.empty() ? in.rope_short : in.rope_long;
    return longrope_json(given_short, given_long, original, s.magnitude);
  }
  if (!in.rope_factors.empty()) {
    const auto fitted = s.magnitude == 1 ? fit_llama3(in.rope_factors, c.rope_base) : std::nullopt;
    if (fitted) return llama3_json(*fitted);
    return longrope_json(in.rope_factors, in.rope_factors, original, s.magnitude);
  }
  if (s.type != RopeScaling::Type::kYarn && s.magnitude != 1)
    return fail(Code::kUnsupported, "rope.scaling.attn_factor: found {}, expected 1 beside no factors and no YaRN",
                s.magnitude);
  if (s.type == RopeScaling::Type::kLinear)
    return OrderedJson{{"rope_type", "linear"}, {"type", "linear"}, {"factor", decimal(s.factor)}};
  if (s.type == RopeScaling::Type::kNone) return OrderedJson();
  OrderedJson out{{"rope_type", "yarn"},
                  {"type", "yarn"},
                  {"factor", decimal(s.factor)},
                  {"original_max_position_embeddings", original},
                  {"beta_fast", decimal(s.beta_fast)},
                  {"beta_slow", decimal(s.beta_slow)}};
  if (s.magnitude != 1) out["attention_factor"] = s.magnitude * (1 + 0.1 * std::log(s.factor));
  return out;
}

OrderedJson layer_types(const Config& c) {
  OrderedJson out = OrderedJson::array();
  for (uint32_t i = 0; i < c.layers; ++i)
    out.push_back(c.has_window(i) ? "sliding_attention" : "full_attention");
  return out;
}

void add_gemma(const Config& c, OrderedJson& out) {
  out["hidden_activation"] = "gelu_pytorch_tanh";
  if (c.architecture == "gemma") return;
  const double scalar =
      c.attention_scale > 0 ? 1.0 / (static_cast<double>(c.attention_scale) * c.attention_scale) : c.head_dim;
  // The float's square is near a whole number where it came from one.
  const double whole = std::round(scalar);
  out["query_pre_attn_scalar"] = std::abs(scalar - whole) < 1e-4 * whole ? whole : scalar;
  out["attn_logit_softcapping"] =
      c.attention_softcap > 0 ? OrderedJson(decimal(c.attention_softcap)) : OrderedJson();
  out["final_logit_softcapping"] =
      c.logit_softcap > 0 ? OrderedJson(decimal(c.logit_softcap)) : OrderedJson();
  if (c.architecture != "gemma3") return;
  out["rope_local_base_freq"] = decimal(c.window_rope_base > 0 ? c.window_rope_base : c.rope_base);
  if (c.sliding_window > 0) out["sliding_window_pattern"] = c.window_pattern;
}

void add_family(const Config& c, OrderedJson& out) {
  const Family* family = find_family(c.architecture).value_or(nullptr);
  if (family != nullptr && family->scaled_embedding) {
    add_gemma(c, out);
  } else {
    out["hidden_act"] = "silu";
  }
  if (c.architecture == "granite") {
    out["embedding_multiplier"] = decimal(c.embedding_scale);
    out["residual_multiplier"] = decimal(c.residual_scale);
    out["attention_multiplier"] =
        decimal(c.attention_scale > 0 ? c.attention_scale : 1 / std::sqrt(static_cast<float>(c.head_dim)));
    out["logits_scaling"] = decimal(c.logit_scale);
  }
  if (c.sliding_window > 0) {
    out["sliding_window"] = c.sliding_window;
    if (c.architecture != "phi3" && c.architecture != "llama") out["layer_types"] = layer_types(c);
  } else if (c.architecture == "phi3" || c.architecture == "llama") {
    out["sliding_window"] = nullptr;
  }
}

std::string_view biases_name(HfBiases biases) {
  return biases == HfBiases::kNone  ? "none"
         : biases == HfBiases::kQkv ? "queries, keys and values"
                                    : "queries, keys, values and outputs";
}

Status check_biases(const HfConfig& in) {
  const std::string type = model_type_of(in.config);
  const bool always = type == "qwen2", field = has_attention_bias(type);
  const bool good = in.biases == (always ? HfBiases::kQkv : HfBiases::kNone) ||
                    (field && in.biases == HfBiases::kAll);
  if (good) return {};
  return fail(Code::kUnsupported, "biases of attention: found those of {}, expected {}{} as a {} model has them",
              biases_name(in.biases), biases_name(always ? HfBiases::kQkv : HfBiases::kNone),
              field ? fmt::format(" or those of {}", biases_name(HfBiases::kAll)) : "", type);
}

/// Values that a family's class has no field for.
Status check_sayable(const HfConfig& in) {
  const Config& c = in.config;
  const auto refuse = [&](const char* what, double found, double expected) {
    return fail(Code::kUnsupported,
                "{}: found {} in a {} model, expected {}, as its config.json has no field for it", what,
                found, c.architecture, expected);
  };
  const Family* family = find_family(c.architecture).value_or(nullptr);
  const bool gemma = family != nullptr && family->scaled_embedding, granite = c.architecture == "granite";
  const float width = gemma ? std::sqrt(static_cast<float>(c.dim)) : 1.0F;
  if (!granite && c.embedding_scale != width) return refuse("embedding_scale", c.embedding_scale, width);
  if (!granite && c.residual_scale != 1) return refuse("residual_scale", c.residual_scale, 1);
  if (!granite && c.logit_scale != 1) return refuse("logit_scale", c.logit_scale, 1);
  if (!granite && !gemma && c.attention_scale != 0) return refuse("attention.scale", c.attention_scale, 0);
  if (!gemma && c.attention_softcap != 0) return refuse("attn_logit_softcapping", c.attention_softcap, 0);
  if (!gemma && c.logit_softcap != 0) return refuse("final_logit_softcapping", c.logit_softcap, 0);
  const bool windows = c.architecture == "llama" || c.architecture == "phi3" || c.post_norms;
  if (!windows && c.sliding_window != 0) return refuse("attention.sliding_window", c.sliding_window, 0);
  if (c.architecture != "phi3" && c.rope_dims != 0) return refuse("rope.dimension_count", c.rope_dims, c.head_dim);
  return check_biases(in);
}

Result<OrderedJson> decoder_json(const HfConfig& in) {
  const Config& c = in.config;
  BANTAM_TRY(check_sayable(in));
  OrderedJson out{{"vocab_size", c.vocab_size},
                  {"max_position_embeddings", c.context_length},
                  {"hidden_size", c.dim},
                  {"intermediate_size", c.ffn_dim},
                  {"num_hidden_layers", c.layers},
                  {"num_attention_heads", c.heads},
                  {"num_key_value_heads", c.kv_heads},
                  {"head_dim", c.head_dim},
                  {"rms_norm_eps", decimal(c.rms_eps)},
                  {"rope_theta", decimal(c.rope_base)},
                  {"tie_word_embeddings", c.tied_head}};
  BANTAM_ASSIGN(out["rope_scaling"], scaling_json(in));
  if (c.rope_scaling.original_context > 0) {
    out["original_max_position_embeddings"] = c.rope_scaling.original_context;
  } else if (c.architecture == "phi3" && out["rope_scaling"].is_object()) {  // its class would take 4096
    out["original_max_position_embeddings"] = c.context_length;
  }
  if (c.rope_dims > 0) {
    double part = static_cast<double>(c.rope_dims) / c.head_dim;
    if (static_cast<uint32_t>(part * c.head_dim) < c.rope_dims) part = std::nextafter(part, 1.0);
    out["partial_rotary_factor"] = part;  // of which readers take the whole part of part * head_dim
  }
  if (has_attention_bias(model_type_of(c))) out["attention_bias"] = in.biases == HfBiases::kAll;
  add_family(c, out);
  return out;
}

Result<OrderedJson> encoder_json(const HfConfig& in) {
  const Config& c = in.config;
  if (c.rope_dims != 0)
    return fail(Code::kUnsupported, "rope.dimension_count: found {} in a {} model, expected {}", c.rope_dims,
                c.architecture, c.head_dim);
  if (c.architecture == "bert") {
    return OrderedJson{{"vocab_size", c.vocab_size},
                       {"max_position_embeddings", c.context_length},
                       {"hidden_size", c.dim},
                       {"intermediate_size", c.ffn_dim},
                       {"num_hidden_layers", c.layers},
                       {"num_attention_heads", c.heads},
                       {"layer_norm_eps", decimal(c.rms_eps)},
                       {"type_vocab_size", in.token_types},
                       {"hidden_act", "gelu"},
                       {"position_embedding_type", "absolute"}};
  }
  return OrderedJson{{"vocab_size", c.vocab_size},
                     {"n_positions", c.context_length},
                     {"n_embd", c.dim},
                     {"n_inner", c.ffn_dim},
                     {"n_layer", c.layers},
                     {"n_head", c.heads},
                     {"layer_norm_epsilon", decimal(c.rms_eps)},
                     {"rotary_emb_base", decimal(c.rope_base)},
                     {"rotary_emb_fraction", 1.0},
                     {"rotary_emb_interleaved", false},
                     {"type_vocab_size", in.token_types},
                     {"activation_function", "swiglu"},
                     {"prenorm", false},
                     {"qkv_proj_bias", false},
                     {"mlp_fc1_bias", false},
                     {"mlp_fc2_bias", false}};
}

}  // namespace

Result<std::string> write_hf_config(const HfConfig& config, std::string_view dtype, const HfTokenIds& ids) {
  const std::string type = model_type_of(config.config);
  OrderedJson out{{"architectures", {hf_class_of(type)}}, {"model_type", type}};
  BANTAM_ASSIGN(const OrderedJson values,
                config.config.encoder ? encoder_json(config) : decoder_json(config));
  out.update(values);
  if (ids.bos) out["bos_token_id"] = *ids.bos;
  if (!ids.ends.empty()) out["eos_token_id"] = one_or_all(ids.ends);
  if (ids.padding) out["pad_token_id"] = *ids.padding;
  out["torch_dtype"] = dtype;
  return out.dump(2) + "\n";
}

std::string write_hf_generation(const HfTokenIds& ids) {
  OrderedJson out{{"_from_model_config", true}};
  if (ids.bos) out["bos_token_id"] = *ids.bos;
  if (!ids.ends.empty()) out["eos_token_id"] = one_or_all(ids.ends);
  if (ids.padding) out["pad_token_id"] = *ids.padding;
  return out.dump(2) + "\n";
}

}  // namespace bantam::model
