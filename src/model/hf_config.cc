#include "model/hf_config.h"

#include <algorithm>
#include <cmath>

#include "formats/json.h"
#include "model/family.h"
#include "model/hf_names.h"
#include "model/json_fields.h"

namespace bantam::model {
namespace {

using Json = nlohmann::json;

struct Reader {
  const Json& json;
  JsonFields fields;
  const Family& family;
  std::string model_type;
  HfConfig out;

  Config& config() { return out.config; }
  bool is(std::string_view type) const { return model_type == type; }
  size_t pairs() const { return (out.config.rope_dims > 0 ? out.config.rope_dims : out.config.head_dim) / 2; }
};

Status read_sizes(Reader& in) {
  Config& c = in.config();
  const JsonFields& f = in.fields;
  BANTAM_ASSIGN(c.vocab_size, f.size("vocab_size"));
  BANTAM_ASSIGN(c.context_length, f.size("max_position_embeddings"));
  BANTAM_ASSIGN(c.dim, f.size("hidden_size"));
  BANTAM_ASSIGN(c.layers, f.size("num_hidden_layers"));
  BANTAM_ASSIGN(c.heads, f.size("num_attention_heads"));
  BANTAM_ASSIGN(c.kv_heads, f.size("num_key_value_heads", c.heads));
  BANTAM_ASSIGN(c.ffn_dim, f.size("intermediate_size"));
  // Classes whose heads have a width of their own even where no field says so.
  const uint32_t width = in.is("qwen3")               ? 128
                         : in.family.scaled_embedding ? 256
                         : c.heads == 0               ? 0
                                                      : c.dim / c.heads;
  BANTAM_ASSIGN(c.head_dim, f.size("head_dim", width));
  return {};
}

Status read_activation(Reader& in) {
  const char* key = in.fields.has("hidden_activation") ? "hidden_activation" : "hidden_act";
  const bool gelu = in.family.activation == Activation::kGelu;
  BANTAM_ASSIGN(const std::string name, in.fields.text(key, gelu ? "gelu_pytorch_tanh" : "silu"));
  // Gemma's first files say "gelu" and mean the tanh form.
  const bool known = gelu ? name == "gelu_pytorch_tanh" || name == "gelu" : name == "silu";
  return known ? Status{} : in.fields.wrong(key, gelu ? "gelu_pytorch_tanh" : "silu", Code::kUnsupported);
}

Status read_longrope(Reader& in, const JsonFields& rope) {
  Config& c = in.config();
  BANTAM_TRY(rope.only("short_mscale", Json()));
  BANTAM_TRY(rope.only("long_mscale", Json()));
  BANTAM_ASSIGN(in.out.rope_short, rope.factors("short_factor", in.pairs()));
  BANTAM_ASSIGN(in.out.rope_long, rope.factors("long_factor", in.pairs()));
  uint32_t given = c.rope_scaling.original_context;
  if (given == 0 && in.is("phi3")) given = 4096;  // its class's own
  BANTAM_ASSIGN(const uint32_t original, rope.size("original_max_position_embeddings", given));
  if (original == 0) return rope.wrong("original_max_position_embeddings", "a whole number above 0");
  c.rope_scaling.original_context = original;
  BANTAM_ASSIGN(const double magnitude,
                rope.positive("attention_factor", longrope_magnitude(c.context_length, original)));
  // Where both are there, transformers takes the one or the other, as its version is.
  const double ratio = static_cast<double>(c.context_length) / original;
  BANTAM_ASSIGN(const double factor, rope.positive("factor", ratio));
  if (!rope.has("attention_factor") && std::abs(factor - ratio) > 1e-6 * ratio)
    return rope.wrong("factor", fmt::format("{}, by which the context was extended", ratio), Code::kUnsupported);
  c.rope_scaling.magnitude = static_cast<float>(magnitude);
  // One list for texts of any length is how a GGUF has it outside of Phi.
  if (in.family.architecture != "phi3" && in.out.rope_short == in.out.rope_long) {
    c.rope_scaling.original_context = given;
    in.out.rope_factors = std::move(in.out.rope_short);
    in.out.rope_short.clear();
    in.out.rope_long.clear();
  }
  return {};
}

Status read_yarn(Reader& in, const JsonFields& rope) {
  RopeScaling& scaling = in.config().rope_scaling;
  scaling.type = RopeScaling::Type::kYarn;
  BANTAM_ASSIGN(const double factor, rope.positive("factor"));
  BANTAM_ASSIGN(
      scaling.original_context,
      rope.size("original_max_position_embeddings",
                scaling.original_context > 0 ? scaling.original_context : in.config().context_length));
  BANTAM_ASSIGN(const double fast, rope.positive("beta_fast", 32));
  BANTAM_ASSIGN(const double slow, rope.positive("beta_slow", 1));
  scaling.factor = static_cast<float>(factor);
  scaling.beta_fast = static_cast<float>(fast);
  scaling.beta_slow = static_cast<float>(slow);
  const double usual = 1 + 0.1 * std::log(factor);
  if (!(usual > 0)) return rope.wrong("factor", "a number above 4.6e-5");  // exp(-10)
  BANTAM_ASSIGN(const double magnitude, rope.positive("attention_factor", usual));
  BANTAM_TRY(rope.only("mscale", Json()));
  BANTAM_TRY(rope.only("mscale_all_dim", Json()));
  // A GGUF's value stands beside YaRN's own.
  scaling.magnitude = static_cast<float>(magnitude / usual);
  if (!(scaling.magnitude > 0)) return rope.wrong("attention_factor", "a larger number");
  if (std::abs(scaling.magnitude - 1) < 1e-6F) scaling.magnitude = 1;
  return {};
}

Status read_llama3(Reader& in, const JsonFields& rope) {
  Llama3Scaling scaling;
  BANTAM_ASSIGN(scaling.factor, rope.positive("factor"));
  BANTAM_ASSIGN(scaling.low, rope.positive("low_freq_factor"));
  BANTAM_ASSIGN(scaling.high, rope.positive("high_freq_factor"));
  BANTAM_ASSIGN(scaling.original_context, rope.size("original_max_position_embeddings"));
  if (!(static_cast<float>(scaling.high) > static_cast<float>(scaling.low)))
    return rope.wrong("high_freq_factor", fmt::format("more than the low one, {}", scaling.low));
  if (scaling.original_context == 0) return rope.wrong("original_max_position_embeddings", "above 0");
  in.out.rope_factors = llama3_factors(scaling, in.config().rope_base, in.pairs());
  if (!std::ranges::all_of(in.out.rope_factors, [](float x) { return x > 0 && x < 1e9F; }))
    return rope.wrong("factor", "one by which angles can be divided");
  return {};
}

Status read_hf_scaling(Reader& in, const JsonFields& rope) {
  BANTAM_ASSIGN(const std::string old, rope.text("type", "default"));
  BANTAM_ASSIGN(const std::string type, rope.text("rope_type", old));
  RopeScaling& scaling = in.config().rope_scaling;
  const char* key = rope.has("rope_type") ? "rope_type" : "type";
  if (type == "default") return {};
  if (in.is("phi3")) {
    // Its class reads the two older names so, whatever else they mean elsewhere.
    if (type == "longrope" || type == "su" || type == "yarn") return read_longrope(in, rope);
    return rope.wrong(key, "default or longrope", Code::kUnsupported);
  }
  if (type == "linear") {
    scaling.type = RopeScaling::Type::kLinear;
    BANTAM_ASSIGN(const double factor, rope.positive("factor"));
    scaling.factor = static_cast<float>(factor);
    if (factor == 1) scaling.type = RopeScaling::Type::kNone;
    return {};
  }
  if (type == "yarn") return read_yarn(in, rope);
  if (type == "llama3") return read_llama3(in, rope);
  if (type == "longrope") return read_longrope(in, rope);
  return rope.wrong(key, "default, linear, yarn, llama3 or longrope", Code::kUnsupported);
}

/// How much of a head rotates: of `rope` in later files, else of the config itself.
Status read_partial(Reader& in, const JsonFields& rope) {
  Config& c = in.config();
  const char* key = "partial_rotary_factor";
  const JsonFields& fields = rope.has(key) ? rope : in.fields;
  BANTAM_ASSIGN(const double partial, fields.positive(key, 1));
  if (partial > 1) return fields.wrong(key, "at most 1");
  if (partial == 1) return {};
  if (!in.is("phi3"))  // the others' classes rotate all, and fail where a table has fewer columns
    return fields.wrong(key, fmt::format("1 for model_type {}", in.model_type), Code::kUnsupported);
  c.rope_dims = static_cast<uint32_t>(partial * c.head_dim);
  if (c.rope_dims == 0 || c.rope_dims % 2 != 0)
    return fields.wrong(key, fmt::format("an even number of the {} channels of a head", c.head_dim));
  return {};
}

/// rope_theta and rope_scaling, or (later files) both in rope_parameters.
Status read_rope(Reader& in) {
  Config& c = in.config();
  const bool gemma3 = in.is("gemma3_text");
  BANTAM_ASSIGN(double base, in.fields.number("rope_theta", gemma3 ? 1e6 : 1e4));
  BANTAM_ASSIGN(double local, in.fields.number("rope_local_base_freq", 1e4));
  BANTAM_ASSIGN(c.rope_scaling.original_context, in.fields.size("original_max_position_embeddings", 0));
  const char* key = in.fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const Json none = Json::object();
  const Json* object = in.fields.has(key) ? &in.fields.at(key) : &none;
  if (!object->is_object()) return in.fields.wrong(key, "an object");
  if (object->contains("full_attention")) {  // an entry for each kind of layer
    const auto window = object->find("sliding_attention");
    if (window != object->end() && window->is_object()) {
      const JsonFields fields(*window, fmt::format("config.json: {}.sliding_attention.", key));
      BANTAM_ASSIGN(local, fields.number("rope_theta", local));
      BANTAM_TRY(fields.only("rope_type", "default"));
    }
    object = &*object->find("full_attention");
    if (!object->is_object()) return in.fields.wrong(key, "objects");
  }
  const JsonFields rope(*object, fmt::format("config.json: {}.", key));
  BANTAM_ASSIGN(base, rope.number("rope_theta", base));
  c.rope_base = static_cast<float>(base);
  if (gemma3) c.window_rope_base = static_cast<float>(local);
  BANTAM_TRY(read_partial(in, rope));
  return read_hf_scaling(in, rope);
}

Status read_window(Reader& in) {
  Config& c = in.config();
  const JsonFields& f = in.fields;
  BANTAM_ASSIGN(const bool used, f.flag("use_sliding_window", !in.is("qwen2") && !in.is("qwen3")));
  BANTAM_ASSIGN(const uint32_t window, f.size("sliding_window", 0));
  if (!used || window == 0 || in.is("llama") || in.is("granite") || in.is("gemma")) return {};
  if (in.is("qwen2") || in.is("qwen3")) return f.wrong("use_sliding_window", "false", Code::kUnsupported);
  c.sliding_window = window;
  c.window_pattern = in.family.window_pattern;
  if (in.is("gemma3_text")) {
    BANTAM_ASSIGN(c.window_pattern, f.size("sliding_window_pattern", c.window_pattern));
  }
  if (!f.has("layer_types")) return {};
  const Json& types = f.at("layer_types");
  if (!types.is_array() || types.size() != c.layers) return f.wrong("layer_types", "an entry for each layer");
  if (in.is("gemma3_text") && !f.has("sliding_window_pattern")) {
    const auto full = std::ranges::find(types, Json("full_attention"));
    if (full != types.end()) c.window_pattern = static_cast<uint32_t>(full - types.begin()) + 1;
  }
  for (uint32_t i = 0; i < c.layers; ++i) {
    if (types[i] != (c.has_window(i) ? "sliding_attention" : "full_attention"))
      return f.wrong("layer_types", fmt::format("full attention in each {}th layer", c.window_pattern),
                     Code::kUnsupported);
  }
  return {};
}

Status read_scales(Reader& in) {
  Config& c = in.config();
  const JsonFields& f = in.fields;
  if (in.family.scaled_embedding) c.embedding_scale = std::sqrt(static_cast<float>(c.dim));
  if (in.is("granite")) {
    BANTAM_ASSIGN(const double embedding, f.number("embedding_multiplier", 1));
    BANTAM_ASSIGN(const double residual, f.number("residual_multiplier", 1));
    BANTAM_ASSIGN(const double attention, f.number("attention_multiplier", 1));
    BANTAM_ASSIGN(const double logits, f.number("logits_scaling", 1));
    c.embedding_scale = static_cast<float>(embedding);
    c.residual_scale = static_cast<float>(residual);
    c.attention_scale = static_cast<float>(attention);
    c.logit_scale = static_cast<float>(logits);
  }
  if (in.is("gemma2") || in.is("gemma3_text")) {
    BANTAM_ASSIGN(const double scalar, f.number("query_pre_attn_scalar", 256));
    if (!(scalar > 0)) return f.wrong("query_pre_attn_scalar", "above 0");
    if (scalar != c.head_dim) c.attention_scale = static_cast<float>(1 / std::sqrt(scalar));
    const bool gemma2 = in.is("gemma2");
    BANTAM_ASSIGN(const double scores,
                  gemma2 && !f.has("attn_logit_softcapping") && !in.json.contains("attn_logit_softcapping")
                      ? Result<double>(50)
                      : f.number("attn_logit_softcapping", 0));
    BANTAM_ASSIGN(const double logits, gemma2 && !in.json.contains("final_logit_softcapping")
                                           ? Result<double>(30)
                                           : f.number("final_logit_softcapping", 0));
    c.attention_softcap = static_cast<float>(scores);
    c.logit_softcap = static_cast<float>(logits);
  }
  return {};
}

Status read_biases(Reader& in) {
  BANTAM_TRY(in.fields.only("mlp_bias", false));
  if (in.is("qwen2")) {  // always, and no field says so
    in.out.biases = HfBiases::kQkv;
    return {};
  }
  if (!has_attention_bias(in.model_type)) return in.fields.only("attention_bias", false);
  BANTAM_ASSIGN(const bool all, in.fields.flag("attention_bias", false));
  if (all) in.out.biases = HfBiases::kAll;
  return {};
}

Status read_decoder(Reader& in) {
  Config& c = in.config();
  BANTAM_TRY(read_sizes(in));
  BANTAM_TRY(read_activation(in));
  BANTAM_TRY(read_biases(in));
  BANTAM_TRY(in.fields.only("use_bidirectional_attention", false));
  BANTAM_ASSIGN(in.out.ends, in.fields.ids("eos_token_id"));
  BANTAM_ASSIGN(const double eps, in.fields.number("rms_norm_eps", 1e-6));
  c.rms_eps = static_cast<float>(eps);
  BANTAM_ASSIGN(c.tied_head, in.fields.flag("tie_word_embeddings", in.family.scaled_embedding));
  c.qk_norm = in.family.qk_norm;
  c.post_norms = in.family.post_norms;
  BANTAM_TRY(read_rope(in));
  BANTAM_TRY(read_window(in));
  if (c.sliding_window == 0) c.window_rope_base = 0;
  return read_scales(in);
}

Status read_bert(Reader& in) {
  Config& c = in.config();
  const JsonFields& f = in.fields;
  BANTAM_TRY(read_sizes(in));
  BANTAM_TRY(f.only("position_embedding_type", "absolute"));
  BANTAM_ASSIGN(const std::string act, f.text("hidden_act", "gelu"));
  if (act != "gelu" && act != "gelu_new" && act != "gelu_pytorch_tanh")
    return f.wrong("hidden_act", "gelu", Code::kUnsupported);
  BANTAM_ASSIGN(const double eps, f.number("layer_norm_eps", 1e-12));
  c.rms_eps = static_cast<float>(eps);
  BANTAM_ASSIGN(in.out.token_types, f.size("type_vocab_size", 2));
  return {};
}

Status read_nomic(Reader& in) {
  Config& c = in.config();
  const JsonFields& f = in.fields;
  BANTAM_ASSIGN(c.vocab_size, f.size("vocab_size"));
  BANTAM_ASSIGN(c.context_length, f.size("n_positions"));
  BANTAM_ASSIGN(c.dim, f.size("n_embd"));
  BANTAM_ASSIGN(c.layers, f.size("n_layer"));
  BANTAM_ASSIGN(c.heads, f.size("n_head"));
  BANTAM_ASSIGN(c.ffn_dim, f.size("n_inner"));
  c.kv_heads = c.heads;
  c.head_dim = c.heads == 0 ? 0 : c.dim / c.heads;
  BANTAM_ASSIGN(const double eps, f.number("layer_norm_epsilon", 1e-12));
  BANTAM_ASSIGN(const double base, f.number("rotary_emb_base", 10'000));
  c.rms_eps = static_cast<float>(eps);
  c.rope_base = static_cast<float>(base);
  BANTAM_ASSIGN(in.out.token_types, f.size("type_vocab_size", 2));
  BANTAM_TRY(f.only("rotary_emb_fraction", 1.0));
  BANTAM_TRY(f.only("rotary_emb_interleaved", false));
  for (const char* bias : {"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"}) BANTAM_TRY(f.only(bias, false));
  BANTAM_TRY(f.only("prenorm", false));
  BANTAM_TRY(f.only("activation_function", "swiglu"));
  BANTAM_TRY(f.only("moe_every_n_layers", 0));
  return f.only("use_rms_norm", false);
}

}  // namespace

Result<HfConfig> read_hf_config(std::string_view text) {
  BANTAM_ASSIGN(const Json json, formats::parse_json(text, "config.json"));
  if (!json.is_object()) return fail(Code::kCorrupt, "config.json: found no JSON object");
  const JsonFields fields(json, "config.json: ");
  BANTAM_ASSIGN(const std::string model_type, fields.text("model_type"));
  BANTAM_ASSIGN(const std::string architecture, architecture_of(model_type));
  BANTAM_ASSIGN(const Family* family, find_family(architecture));
  Reader in{json, fields, *family, model_type, {}};
  Config& c = in.config();
  c.architecture = architecture;
  c.rope_pairing = family->rope_pairing;
  c.activation = family->activation;
  c.encoder = family->encoder;
  c.tied_head = family->encoder;
  BANTAM_TRY(!family->encoder ? read_decoder(in) : architecture == "bert" ? read_bert(in) : read_nomic(in));
  if (auto good = check(c); !good) return fail(Code::kCorrupt, "config.json: {}", good.error().message);
  return std::move(in.out);
}

}  // namespace bantam::model
