#include "model/config.h"

#include "kernels/table.h"

namespace bantam::model {
namespace {

using formats::GgufFile;

constexpr uint32_t kLargest = 1U << 24;  // of any size; products of two then fit 48 bits
constexpr uint32_t kMostLayers = 1U << 12;
constexpr std::string_view kArchitecture = "llama";

/// A size under the architecture's prefix. Errors name file, key, found and expected.
Result<uint32_t> size_of(const GgufFile& file, std::string_view name, std::optional<uint64_t> fallback = {}) {
  const std::string key = fmt::format("{}.{}", kArchitecture, name);
  BANTAM_ASSIGN(uint64_t value, fallback ? file.get_uint_or(key, *fallback) : file.get_uint(key));
  if (value == 0 || value > kLargest) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected 1 to {}", file.path(), key, value, kLargest);
  }
  return static_cast<uint32_t>(value);
}

/// Refuses what would change the mathematics and is not implemented, so that it is never ignored.
Status check_supported(const GgufFile& file) {
  BANTAM_ASSIGN(std::string scaling, file.get_string_or("llama.rope.scaling.type", "none"));
  if (scaling != "none") {
    return fail(Code::kUnsupported, "{}: llama.rope.scaling.type: found \"{}\", expected none", file.path(),
                scaling);
  }
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    BANTAM_ASSIGN(double factor, file.get_float_or(key, 1.0));
    if (factor != 1.0)
      return fail(Code::kUnsupported, "{}: {}: found {}, expected 1", file.path(), key, factor);
  }
  for (const char* key : {"llama.expert_count", "llama.attention.sliding_window"}) {
    BANTAM_ASSIGN(uint64_t count, file.get_uint_or(key, 0));
    if (count != 0) return fail(Code::kUnsupported, "{}: {}: found {}, expected 0", file.path(), key, count);
  }
  return {};
}

/// The width of one head, which keys, values and the rotation must agree on.
Result<uint32_t> read_head_dim(const GgufFile& file, const Config& config) {
  BANTAM_ASSIGN(uint32_t head_dim,
                size_of(file, "attention.key_length", std::max(1U, config.dim / config.heads)));
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    BANTAM_ASSIGN(uint32_t other, size_of(file, name, head_dim));
    if (other != head_dim) {
      return fail(Code::kUnsupported, "{}: llama.{}: found {}, expected the key length {}", file.path(), name,
                  other, head_dim);
    }
  }
  return head_dim;
}

}  // namespace

Result<Config> read_config(const GgufFile& file) {
  Config config;
  BANTAM_ASSIGN(config.architecture, file.get_string("general.architecture"));
  if (config.architecture != kArchitecture) {
    return fail(Code::kUnsupported, "{}: general.architecture: found \"{}\", expected \"{}\"", file.path(),
                config.architecture, kArchitecture);
  }
  BANTAM_TRY(check_supported(file));
  BANTAM_ASSIGN(config.context_length, size_of(file, "context_length"));
  BANTAM_ASSIGN(config.dim, size_of(file, "embedding_length"));
  BANTAM_ASSIGN(config.layers, size_of(file, "block_count"));
  BANTAM_ASSIGN(config.ffn_dim, size_of(file, "feed_forward_length"));
  BANTAM_ASSIGN(config.heads, size_of(file, "attention.head_count"));
  BANTAM_ASSIGN(config.kv_heads, size_of(file, "attention.head_count_kv", config.heads));
  BANTAM_ASSIGN(config.head_dim, read_head_dim(file, config));
  BANTAM_ASSIGN(double eps, file.get_float("llama.attention.layer_norm_rms_epsilon"));
  BANTAM_ASSIGN(double base, file.get_float_or("llama.rope.freq_base", 10000.0));
  config.rms_eps = static_cast<float>(eps);
  config.rope_base = static_cast<float>(base);
  const auto* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return fail(Code::kCorrupt,
                "{}: token_embd.weight: found no matrix of that name, expected [{}, vocabulary]", file.path(),
                config.dim);
  }
  BANTAM_ASSIGN(config.vocab_size, size_of(file, "vocab_size", embedding->shape[1]));
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

void write_config(const Config& config, formats::GgufWriter& file) {
  const auto key = [](std::string_view name) { return fmt::format("{}.{}", kArchitecture, name); };
  file.set("general.architecture", std::string(kArchitecture));
  file.set(key("context_length"), config.context_length);
  file.set(key("embedding_length"), config.dim);
  file.set(key("block_count"), config.layers);
  file.set(key("feed_forward_length"), config.ffn_dim);
  file.set(key("attention.head_count"), config.heads);
  file.set(key("attention.head_count_kv"), config.kv_heads);
  file.set(key("attention.key_length"), config.head_dim);
  file.set(key("attention.value_length"), config.head_dim);
  file.set(key("attention.layer_norm_rms_epsilon"), config.rms_eps);
  file.set(key("rope.dimension_count"), config.head_dim);
  file.set(key("rope.freq_base"), config.rope_base);
  file.set(key("vocab_size"), config.vocab_size);
}

uint64_t parameter_count(const Config& config) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim;
  const uint64_t layer = 2 * c + 2 * c * q + 2 * c * kv + 3 * c * config.ffn_dim;
  return c * config.vocab_size * (config.tied_head ? 1 : 2) + config.layers * layer + c;
}

}  // namespace bantam::model
