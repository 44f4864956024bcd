#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "kernels/table.h"
#include "model/family.h"

namespace bantam::model {
namespace {

using formats::GgufFile;

constexpr uint32_t kLargest = 1U << 24;  // of any size; products of two then fit 48 bits
constexpr uint32_t kMostLayers = 1U << 12;
constexpr double kLargestFactor = 1e9;  // of any scale, cap or base

/// Reads keys under the architecture's prefix. Errors name file, key, found and expected.
class ConfigKeys {
 public:
  ConfigKeys(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  std::string key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }
  Result<uint32_t> size(std::string_view name, std::optional<uint64_t> fallback = {}) const {
    BANTAM_ASSIGN(uint64_t value,
                  fallback ? file_.get_uint_or(key(name), *fallback) : file_.get_uint(key(name)));
    if (value == 0 || value > kLargest) {
      return fail(Code::kCorrupt, "{}: {}: found {}, expected 1 to {}", file_.path(), key(name), value,
                  kLargest);
    }
    return static_cast<uint32_t>(value);
  }
  /// As size, where 0 means "none".
  Result<uint32_t> size_or_none(std::string_view name, uint32_t fallback = 0) const {
    BANTAM_ASSIGN(uint64_t value, file_.get_uint_or(key(name), fallback));
    return value == 0 ? Result<uint32_t>(0U) : size(name);
  }
  /// A finite number above zero.
  Result<float> positive(std::string_view name, double fallback) const {
    BANTAM_ASSIGN(double value, file_.get_float_or(key(name), fallback));
    if (!(value > 0 && value < kLargestFactor)) {
      return fail(Code::kCorrupt, "{}: {}: found {}, expected above 0 and below {}", file_.path(), key(name),
                  value, kLargestFactor);
    }
    return static_cast<float>(value);
  }
  /// The same, or 0.
  Result<float> positive_or_none(std::string_view name) const {
    BANTAM_ASSIGN(double value, file_.get_float_or(key(name), 0.0));
    return value == 0 ? Result<float>(0.0F) : positive(name, 1);
  }
  const GgufFile& file() const { return file_; }

 private:
  const GgufFile& file_;
  std::string architecture_;
};

/// Refuses what would change the mathematics and is not implemented, so that it is never ignored.
Status check_supported(const ConfigKeys& keys) {
  BANTAM_ASSIGN(uint64_t experts, keys.file().get_uint_or(keys.key("expert_count"), 0));
  if (experts != 0) {
    return fail(Code::kUnsupported, "{}: {}: found {}, expected 0", keys.file().path(),
                keys.key("expert_count"), experts);
  }
  return {};
}

Result<RopeScaling> read_gguf_scaling(const ConfigKeys& keys) {
  RopeScaling out;
  auto named = keys.file().get_string_or(keys.key("rope.scaling.type"), "");
  if (!named) return std::unexpected(std::move(named).error());
  const std::string& type = *named;
  if (type != "" && type != "none" && type != "linear" && type != "yarn" && type != "longrope") {
    return fail(Code::kUnsupported, "{}: {}: found \"{}\", expected none, linear, yarn or longrope",
                keys.file().path(), keys.key("rope.scaling.type"), type);
  }
  BANTAM_ASSIGN(double old_factor, keys.file().get_float_or(keys.key("rope.scale_linear"), 1.0));
  BANTAM_ASSIGN(double factor, keys.file().get_float_or(keys.key("rope.scaling.factor"), old_factor));
  if (factor == 0) factor = 1;  // as writers say "none"
  if (!(factor > 0 && factor < kLargestFactor)) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected above 0", keys.file().path(),
                keys.key("rope.scaling.factor"), factor);
  }
  BANTAM_ASSIGN(out.original_context, keys.size_or_none("rope.scaling.original_context_length"));
  BANTAM_ASSIGN(out.magnitude, keys.positive("rope.scaling.attn_factor", 1.0));
  if (type == "none" || type == "longrope" || (factor == 1 && type != "yarn")) return out;
  out.type = type == "yarn" ? RopeScaling::Type::kYarn : RopeScaling::Type::kLinear;
  out.factor = static_cast<float>(factor);
  if (out.type == RopeScaling::Type::kYarn) {
    BANTAM_ASSIGN(out.beta_fast, keys.positive("rope.scaling.yarn_beta_fast", 32.0));
    BANTAM_ASSIGN(out.beta_slow, keys.positive("rope.scaling.yarn_beta_slow", 1.0));
    if (out.original_context == 0) {
      BANTAM_ASSIGN(out.original_context, keys.size("context_length"));
    }
  }
  return out;
}

/// The width of one head, which keys and values must agree on, and how much of it rotates.
Status read_heads(const ConfigKeys& keys, Config& config) {
  BANTAM_ASSIGN(config.heads, keys.size("attention.head_count"));
  BANTAM_ASSIGN(config.kv_heads, keys.size("attention.head_count_kv", config.heads));
  BANTAM_ASSIGN(config.head_dim, keys.size("attention.key_length", std::max(1U, config.dim / config.heads)));
  BANTAM_ASSIGN(uint32_t values, keys.size("attention.value_length", config.head_dim));
  if (values != config.head_dim) {
    return fail(Code::kUnsupported, "{}: {}: found {}, expected the key length {}", keys.file().path(),
                keys.key("attention.value_length"), values, config.head_dim);
  }
  BANTAM_ASSIGN(uint32_t rotated, keys.size("rope.dimension_count", config.head_dim));
  if (rotated > config.head_dim || rotated % 2 != 0) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected an even number up to the key length {}",
                keys.file().path(), keys.key("rope.dimension_count"), rotated, config.head_dim);
  }
  config.rope_dims = rotated == config.head_dim ? 0 : rotated;
  return {};
}

/// What the families add to a plain decoder.
Status read_family(const ConfigKeys& keys, const Family& family, Config& config) {
  config.rope_pairing = family.rope_pairing;
  config.activation = family.activation;
  config.encoder = family.encoder;
  config.qk_norm = family.qk_norm;
  config.post_norms = family.post_norms;
  BANTAM_ASSIGN(config.rope_scaling, read_gguf_scaling(keys));
  BANTAM_ASSIGN(config.sliding_window, keys.size_or_none("attention.sliding_window"));
  if (config.sliding_window > 0) {
    BANTAM_ASSIGN(config.window_pattern,
                  keys.size("attention.sliding_window_pattern", family.window_pattern));
    BANTAM_ASSIGN(config.window_rope_base, keys.positive_or_none("rope.freq_base_swa"));
    if (config.window_rope_base == 0) config.window_rope_base = family.window_rope_base;
  }
  const float width = family.scaled_embedding ? std::sqrt(static_cast<float>(config.dim)) : 1.0F;
  BANTAM_ASSIGN(config.embedding_scale, keys.positive("embedding_scale", width));
  BANTAM_ASSIGN(config.residual_scale, keys.positive("residual_scale", 1.0));
  BANTAM_ASSIGN(config.logit_scale, keys.positive("logit_scale", 1.0));
  BANTAM_ASSIGN(config.attention_scale, keys.positive_or_none("attention.scale"));
  if (config.attention_scale == 0 && family.scaled_by_width_at == config.layers)
    config.attention_scale = 1 / std::sqrt(static_cast<float>(config.dim) / static_cast<float>(config.heads));
  BANTAM_ASSIGN(config.attention_softcap, keys.positive_or_none("attn_logit_softcapping"));
  BANTAM_ASSIGN(config.logit_softcap, keys.positive_or_none("final_logit_softcapping"));
  return {};
}

}  // namespace

Result<Config> read_config(const GgufFile& file) {
  Config config;
  BANTAM_ASSIGN(config.architecture, file.get_string("general.architecture"));
  auto family = find_family(config.architecture);
  if (!family) {
    return fail(Code::kUnsupported, "{}: general.architecture: {}", file.path(), family.error().message);
  }
  const ConfigKeys keys(file, config.architecture);
  BANTAM_TRY(check_supported(keys));
  BANTAM_ASSIGN(config.context_length, keys.size("context_length"));
  BANTAM_ASSIGN(config.dim, keys.size("embedding_length"));
  BANTAM_ASSIGN(config.layers, keys.size("block_count"));
  BANTAM_ASSIGN(config.ffn_dim, keys.size("feed_forward_length"));
  BANTAM_TRY(read_heads(keys, config));
  BANTAM_ASSIGN(double eps,
                file.get_float(keys.key((*family)->encoder ? "attention.layer_norm_epsilon"
                                                           : "attention.layer_norm_rms_epsilon")));
  BANTAM_ASSIGN(double base, file.get_float_or(keys.key("rope.freq_base"), 10000.0));
  config.rms_eps = static_cast<float>(eps);
  config.rope_base = static_cast<float>(base);
  BANTAM_TRY(read_family(keys, **family, config));
  const auto* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return fail(Code::kCorrupt,
                "{}: token_embd.weight: found no matrix of that name, expected [{}, vocabulary]", file.path(),
                config.dim);
  }
  BANTAM_ASSIGN(config.vocab_size, keys.size("vocab_size", embedding->shape[1]));
  config.tied_head = file.find_tensor("output.weight") == nullptr;
  if (auto status = check(config); !status)
    return fail(Code::kCorrupt, "{}: {}", file.path(), status.error().message);
  return config;
}

Status check(const Config& config) {
  const std::pair<const char*, uint32_t> sizes[] = {
      {"vocabulary", config.vocab_size}, {"context length", config.context_length},
      {"embedding length", config.dim},  {"layers", config.layers},
      {"heads", config.heads},           {"key/value heads", config.kv_heads},
      {"head length", config.head_dim},  {"feed-forward length", config.ffn_dim}};
  for (const auto& [name, value] : sizes) {
    if (value == 0 || value > kLargest) {
      return fail(Code::kInvalidArgument, "{}: found {}, expected 1 to {}", name, value, kLargest);
    }
  }
  if (config.layers > kMostLayers) {
    return fail(Code::kInvalidArgument, "layers: found {}, expected at most {}", config.layers, kMostLayers);
  }
  if (config.heads % config.kv_heads != 0) {
    return fail(Code::kInvalidArgument, "heads: found {}, expected a multiple of the {} key/value heads",
                config.heads, config.kv_heads);
  }
  if (config.head_dim % 2 != 0 || config.head_dim > kernels::kMaxHeadDim) {
    return fail(Code::kInvalidArgument, "head length: found {}, expected an even number up to {}",
                config.head_dim, kernels::kMaxHeadDim);
  }
  if (uint64_t{config.heads} * config.head_dim > kLargest) {
    return fail(Code::kInvalidArgument, "heads times head length: found {}, expected at most {}",
                uint64_t{config.heads} * config.head_dim, kLargest);
  }
  if (!(config.rms_eps >= 0 && config.rms_eps < 1)) {
    return fail(Code::kInvalidArgument, "RMS epsilon: found {}, expected 0 to 1", config.rms_eps);
  }
  if (!(config.rope_base > 1 && config.rope_base < 1e30F)) {
    return fail(Code::kInvalidArgument, "RoPE base: found {}, expected above 1", config.rope_base);
  }
  return {};
}

uint64_t parameter_count(const Config& config) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim;
  const uint64_t layer = 2 * c + 2 * c * q + 2 * c * kv + 3 * c * config.ffn_dim;
  return c * config.vocab_size * (config.tied_head ? 1 : 2) + config.layers * layer + c;
}

}  // namespace bantam::model
