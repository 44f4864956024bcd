#include "model/hf_weights.h"

#include <fmt/ranges.h>

#include <bit>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "tensor/half.h"

namespace bantam::model {
namespace {

using formats::SafeTensor;
using tensor::DType;
using Json = nlohmann::json;

/// Fields of config.json; every error names the field.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  bool has(const char* name) const { return json_.contains(name) && !json_[name].is_null(); }

  Result<uint32_t> size(const char* name, std::optional<uint32_t> fallback = {}) const {
    if (!has(name) && fallback) return *fallback;
    if (!has(name)) return fail(Code::kCorrupt, "config.json: {}: found nothing, expected a number", name);
    const Json& value = json_[name];
    if (!value.is_number_unsigned() || value.get<uint64_t>() > UINT32_MAX) {
      return fail(Code::kCorrupt, "config.json: {}: found {}, expected a whole number", name, shorten(value));
    }
    return static_cast<uint32_t>(value.get<uint64_t>());
  }

  Result<float> number(const char* name, float fallback) const {
    if (!has(name)) return fallback;
    if (!json_[name].is_number()) {
      return fail(Code::kCorrupt, "config.json: {}: found {}, expected a number", name, shorten(json_[name]));
    }
    return static_cast<float>(json_[name].get<double>());
  }

  /// Errors: kUnsupported when the field is there with any other value.
  Status only(const char* name, const Json& expected) const {
    if (!has(name) || json_[name] == expected) return {};
    return fail(Code::kUnsupported, "config.json: {}: found {}, expected {}", name, shorten(json_[name]),
                expected.dump());
  }

 private:
  static std::string shorten(const Json& value) {
    if (value.is_structured()) return std::string("an ") + value.type_name();
    return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100);
  }
  const Json& json_;
};

Result<Config> read_hf_config(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Code::kCorrupt, "config.json: found no JSON object");
  const Fields fields(json);
  BANTAM_TRY(fields.only("model_type", "llama"));
  BANTAM_TRY(fields.only("hidden_act", "silu"));
  BANTAM_TRY(fields.only("attention_bias", false));
  BANTAM_TRY(fields.only("mlp_bias", false));
  BANTAM_TRY(fields.only("rope_scaling", nullptr));
  BANTAM_TRY(fields.only("rope_parameters", nullptr));  // later files' place for theta and scaling
  Config config;
  config.rope_pairing = RopePairing::kHalf;
  BANTAM_ASSIGN(config.vocab_size, fields.size("vocab_size"));
  BANTAM_ASSIGN(config.context_length, fields.size("max_position_embeddings"));
  BANTAM_ASSIGN(config.dim, fields.size("hidden_size"));
  BANTAM_ASSIGN(config.layers, fields.size("num_hidden_layers"));
  BANTAM_ASSIGN(config.heads, fields.size("num_attention_heads"));
  BANTAM_ASSIGN(config.kv_heads, fields.size("num_key_value_heads", config.heads));
  BANTAM_ASSIGN(config.head_dim, fields.size("head_dim", config.heads == 0 ? 0 : config.dim / config.heads));
  BANTAM_ASSIGN(config.ffn_dim, fields.size("intermediate_size"));
  BANTAM_ASSIGN(config.rms_eps, fields.number("rms_norm_eps", 1e-6F));
  BANTAM_ASSIGN(config.rope_base, fields.number("rope_theta", 10000.0F));
  config.tied_head = fields.has("tie_word_embeddings") && json["tie_word_embeddings"] == true;
  if (auto status = check(config); !status)
    return fail(Code::kCorrupt, "config.json: {}", status.error().message);
  return config;
}

/// The tensors of all files by name, and what has been taken of them.
class Reader {
 public:
  Status index(std::span<const formats::SafeTensorsFile> files) {
    for (const auto& file : files) {
      for (const auto& tensor : file.tensors()) {
        if (!tensors_.emplace(tensor.name, Entry{&tensor}).second) {
          return fail(Code::kCorrupt, "{}: found in two files", tensor.name);
        }
      }
    }
    return {};
  }

  Result<MatrixView> matrix(const std::string& name, uint64_t rows, uint64_t columns,
                            std::vector<tensor::Storage>& owned) {
    BANTAM_ASSIGN(const SafeTensor* tensor, take(name, {rows, columns}));
    const auto address = reinterpret_cast<uintptr_t>(tensor->data.data());  // a header may have any length
    if (tensor->dtype == "F32" && address % alignof(float) == 0) {
      return MatrixView{DType::kF32, rows, columns, tensor->data.data()};
    }
    if (tensor->dtype == "F16" && address % alignof(uint16_t) == 0) {
      return MatrixView{DType::kF16, rows, columns, tensor->data.data()};
    }
    BANTAM_ASSIGN(auto storage, tensor::Storage::allocate(rows * columns * sizeof(float)));
    widen(*tensor, storage.as<float>());
    owned.push_back(std::move(storage));
    return MatrixView{DType::kF32, rows, columns, owned.back().data()};
  }

  Result<std::vector<float>> vector(const std::string& name, uint64_t size) {
    BANTAM_ASSIGN(const SafeTensor* tensor, take(name, {size}));
    std::vector<float> out(size);
    widen(*tensor, out);
    return out;
  }

  /// For a tied head that is stored all the same.
  void ignore(const std::string& name) {
    if (auto found = tensors_.find(name); found != tensors_.end()) found->second.taken = true;
  }

  Status finish() const {
    for (const auto& [name, entry] : tensors_) {
      // Rotation frequencies that old exports carry follow from rope_theta.
      if (entry.taken || name.ends_with("rotary_emb.inv_freq")) continue;
      return fail(Code::kUnsupported, "{}: found a tensor that this architecture does not use", name);
    }
    return {};
  }

 private:
  struct Entry {
    const SafeTensor* tensor;
    bool taken = false;
  };

  Result<const SafeTensor*> take(const std::string& name, const std::vector<uint64_t>& shape) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      return fail(Code::kCorrupt, "{}: found no such tensor, expected one of shape [{}]", name,
                  fmt::join(shape, ", "));
    }
    const SafeTensor& tensor = *found->second.tensor;
    if (tensor.shape != shape) {
      return fail(Code::kCorrupt, "{}: found shape [{}], expected [{}]", name, fmt::join(tensor.shape, ", "),
                  fmt::join(shape, ", "));
    }
    if (tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16") {
      return fail(Code::kUnsupported, "{}: found type {}, expected F32, F16 or BF16", name, tensor.dtype);
    }
    found->second.taken = true;
    return &tensor;
  }

  static void widen(const SafeTensor& tensor, std::span<float> out) {
    if (tensor.dtype == "F32") {
      std::memcpy(out.data(), tensor.data.data(), out.size_bytes());
      return;
    }
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, tensor.data.data() + i * sizeof(half), sizeof(half));
      // A BF16 is the upper half of a float.
      out[i] =
          tensor.dtype == "F16" ? tensor::half_to_float(half) : std::bit_cast<float>(uint32_t{half} << 16);
    }
  }

  std::map<std::string, Entry, std::less<>> tensors_;
};

Result<LayerWeights> read_layer(Reader& in, const Config& config, uint32_t layer,
                                std::vector<tensor::Storage>& owned) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim, f = config.ffn_dim;
  const auto name = [layer](std::string_view part) {
    return fmt::format("model.layers.{}.{}.weight", layer, part);
  };
  LayerWeights out;
  BANTAM_ASSIGN(out.attention_norm, in.vector(name("input_layernorm"), c));
  BANTAM_ASSIGN(out.q, in.matrix(name("self_attn.q_proj"), q, c, owned));
  BANTAM_ASSIGN(out.k, in.matrix(name("self_attn.k_proj"), kv, c, owned));
  BANTAM_ASSIGN(out.v, in.matrix(name("self_attn.v_proj"), kv, c, owned));
  BANTAM_ASSIGN(out.attention_output, in.matrix(name("self_attn.o_proj"), c, q, owned));
  BANTAM_ASSIGN(out.ffn_norm, in.vector(name("post_attention_layernorm"), c));
  BANTAM_ASSIGN(out.gate, in.matrix(name("mlp.gate_proj"), f, c, owned));
  BANTAM_ASSIGN(out.up, in.matrix(name("mlp.up_proj"), f, c, owned));
  BANTAM_ASSIGN(out.down, in.matrix(name("mlp.down_proj"), c, f, owned));
  return out;
}

}  // namespace

Result<LoadedModel> load_hf_weights(std::string_view config_json,
                                    std::span<const formats::SafeTensorsFile> files) {
  LoadedModel out;
  BANTAM_ASSIGN(out.config, read_hf_config(config_json));
  const Config& config = out.config;
  Reader in;
  BANTAM_TRY(in.index(files));
  Weights& weights = out.weights;
  BANTAM_ASSIGN(weights.token_embedding,
                in.matrix("model.embed_tokens.weight", config.vocab_size, config.dim, weights.owned));
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    BANTAM_ASSIGN(auto layer_weights, read_layer(in, config, layer, weights.owned));
    weights.layers.push_back(std::move(layer_weights));
  }
  BANTAM_ASSIGN(weights.output_norm, in.vector("model.norm.weight", config.dim));
  if (config.tied_head) {
    in.ignore("lm_head.weight");
    weights.output = weights.token_embedding;
  } else {
    BANTAM_ASSIGN(weights.output, in.matrix("lm_head.weight", config.vocab_size, config.dim, weights.owned));
  }
  BANTAM_TRY(in.finish());
  return out;
}

}  // namespace bantam::model
