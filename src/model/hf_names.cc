#include "model/hf_names.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "model/family.h"

namespace bantam::model {
namespace {

struct TypeName {
  std::string_view architecture, model_type, hf_class;
};
/// The first of an architecture is what it is exported as.
constexpr TypeName kTypes[] = {
    {"llama", "llama", "LlamaForCausalLM"},        {"llama", "mistral", "MistralForCausalLM"},
    {"qwen2", "qwen2", "Qwen2ForCausalLM"},        {"qwen3", "qwen3", "Qwen3ForCausalLM"},
    {"phi3", "phi3", "Phi3ForCausalLM"},           {"gemma", "gemma", "GemmaForCausalLM"},
    {"gemma2", "gemma2", "Gemma2ForCausalLM"},     {"gemma3", "gemma3_text", "Gemma3ForCausalLM"},
    {"granite", "granite", "GraniteForCausalLM"},  {"bert", "bert", "BertModel"},
    {"nomic-bert", "nomic_bert", "NomicBertModel"}};

/// Collects tensors; names of layers get their prefixes.
class List {
 public:
  void add(std::string gguf, std::string hf, std::vector<uint64_t> shape, HfChange change = HfChange::kNone,
           bool optional = false) {
    out_.push_back({prefix_ + gguf, hf_prefix_ + hf, std::move(shape), change, optional});
  }
  /// A matrix and its bias.
  void linear(const std::string& gguf, const std::string& hf, uint64_t rows, uint64_t columns, bool bias,
              HfChange change = HfChange::kNone) {
    add(gguf + ".weight", hf + ".weight", {rows, columns}, change);
    if (bias) add(gguf + ".bias", hf + ".bias", {rows}, change);
  }
  /// A matrix and, where there is one, its bias.
  void linear_if_any(const std::string& gguf, const std::string& hf, uint64_t rows, uint64_t columns) {
    add(gguf + ".weight", hf + ".weight", {rows, columns});
    add(gguf + ".bias", hf + ".bias", {rows}, HfChange::kNone, true);
  }
  void layer_norm(const std::string& gguf, const std::string& hf, uint64_t size) {
    add(gguf + ".weight", hf + ".weight", {size});
    add(gguf + ".bias", hf + ".bias", {size});
  }
  void in_layer(std::string gguf, std::string hf) {
    prefix_ = std::move(gguf);
    hf_prefix_ = std::move(hf);
  }
  std::vector<HfTensor> take() { return std::move(out_); }

 private:
  std::vector<HfTensor> out_;
  std::string prefix_, hf_prefix_;
};

void decoder_attention(const HfConfig& in, const Family& family, HfChange norm, List& out) {
  const Config& c = in.config;
  const bool qkv = in.biases != HfBiases::kNone;
  const uint64_t q = uint64_t{c.heads} * c.head_dim, kv = uint64_t{c.kv_heads} * c.head_dim;
  const HfChange turn =
      family.rope_pairing == RopePairing::kInterleaved ? HfChange::kRotated : HfChange::kNone;
  if (family.fused) {
    out.add("attn_qkv.weight", "self_attn.qkv_proj.weight", {q + 2 * kv, c.dim});
  } else {
    out.linear("attn_q", "self_attn.q_proj", q, c.dim, qkv, turn);
    out.linear("attn_k", "self_attn.k_proj", kv, c.dim, qkv, turn);
    out.linear("attn_v", "self_attn.v_proj", kv, c.dim, qkv);
  }
  if (c.qk_norm) {
    out.add("attn_q_norm.weight", "self_attn.q_norm.weight", {c.head_dim}, norm);
    out.add("attn_k_norm.weight", "self_attn.k_norm.weight", {c.head_dim}, norm);
  }
  out.linear("attn_output", "self_attn.o_proj", c.dim, q, in.biases == HfBiases::kAll);
}

std::vector<HfTensor> decoder(const HfConfig& in, const Family& family) {
  const Config& c = in.config;
  const HfChange norm = family.scaled_embedding ? HfChange::kPlusOne : HfChange::kNone;  // Gemma's
  List out;
  out.add("token_embd.weight", "model.embed_tokens.weight", {c.vocab_size, c.dim});
  for (uint32_t i = 0; i < c.layers; ++i) {
    out.in_layer(fmt::format("blk.{}.", i), fmt::format("model.layers.{}.", i));
    out.add("attn_norm.weight", "input_layernorm.weight", {c.dim}, norm);
    decoder_attention(in, family, norm, out);
    if (c.post_norms) {
      out.add("post_attention_norm.weight", "post_attention_layernorm.weight", {c.dim}, norm);
      out.add("ffn_norm.weight", "pre_feedforward_layernorm.weight", {c.dim}, norm);
      out.add("post_ffw_norm.weight", "post_feedforward_layernorm.weight", {c.dim}, norm);
    } else {
      out.add("ffn_norm.weight", "post_attention_layernorm.weight", {c.dim}, norm);
    }
    if (family.fused) {
      out.add("ffn_up.weight", "mlp.gate_up_proj.weight", {2 * uint64_t{c.ffn_dim}, c.dim});
    } else {
      out.add("ffn_gate.weight", "mlp.gate_proj.weight", {c.ffn_dim, c.dim});
      out.add("ffn_up.weight", "mlp.up_proj.weight", {c.ffn_dim, c.dim});
    }
    out.add("ffn_down.weight", "mlp.down_proj.weight", {c.dim, c.ffn_dim});
  }
  out.in_layer("", "");
  out.add("output_norm.weight", "model.norm.weight", {c.dim}, norm);
  if (!c.tied_head) out.add("output.weight", "lm_head.weight", {c.vocab_size, c.dim});
  return out.take();
}

std::vector<HfTensor> bert(const Config& c, uint64_t token_types) {
  List out;
  out.add("token_embd.weight", "embeddings.word_embeddings.weight", {c.vocab_size, c.dim});
  out.add("position_embd.weight", "embeddings.position_embeddings.weight", {c.context_length, c.dim});
  if (token_types > 0)
    out.add("token_types.weight", "embeddings.token_type_embeddings.weight", {token_types, c.dim});
  out.layer_norm("token_embd_norm", "embeddings.LayerNorm", c.dim);
  for (uint32_t i = 0; i < c.layers; ++i) {
    out.in_layer(fmt::format("blk.{}.", i), fmt::format("encoder.layer.{}.", i));
    out.linear_if_any("attn_q", "attention.self.query", c.dim, c.dim);
    out.linear_if_any("attn_k", "attention.self.key", c.dim, c.dim);
    out.linear_if_any("attn_v", "attention.self.value", c.dim, c.dim);
    out.linear_if_any("attn_output", "attention.output.dense", c.dim, c.dim);
    out.layer_norm("attn_output_norm", "attention.output.LayerNorm", c.dim);
    out.linear_if_any("ffn_up", "intermediate.dense", c.ffn_dim, c.dim);
    out.linear_if_any("ffn_down", "output.dense", c.dim, c.ffn_dim);
    out.layer_norm("layer_output_norm", "output.LayerNorm", c.dim);
  }
  return out.take();
}

std::vector<HfTensor> nomic_bert(const Config& c, uint64_t token_types) {
  List out;
  out.add("token_embd.weight", "embeddings.word_embeddings.weight", {c.vocab_size, c.dim});
  if (token_types > 0)
    out.add("token_types.weight", "embeddings.token_type_embeddings.weight", {token_types, c.dim});
  out.layer_norm("token_embd_norm", "emb_ln", c.dim);
  for (uint32_t i = 0; i < c.layers; ++i) {
    out.in_layer(fmt::format("blk.{}.", i), fmt::format("encoder.layers.{}.", i));
    out.add("attn_qkv.weight", "attn.Wqkv.weight", {3 * uint64_t{c.dim}, c.dim});
    out.add("attn_output.weight", "attn.out_proj.weight", {c.dim, c.dim});
    out.layer_norm("attn_output_norm", "norm1", c.dim);
    out.add("ffn_up.weight", "mlp.fc11.weight", {c.ffn_dim, c.dim});
    out.add("ffn_gate.weight", "mlp.fc12.weight", {c.ffn_dim, c.dim});
    out.add("ffn_down.weight", "mlp.fc2.weight", {c.dim, c.ffn_dim});
    out.layer_norm("layer_output_norm", "norm2", c.dim);
  }
  return out.take();
}

}  // namespace

Result<std::vector<HfTensor>> hf_tensors(const HfConfig& in) {
  const Config& config = in.config;
  BANTAM_ASSIGN(const Family* family, find_family(config.architecture));
  if (!family->encoder) return decoder(in, *family);
  return config.architecture == "bert" ? bert(config, in.token_types) : nomic_bert(config, in.token_types);
}

std::vector<std::byte> reorder_heads(std::span<const std::byte> data, size_t row, uint64_t head_dim,
                                     bool to_gguf) {
  std::vector<std::byte> out(data.size());
  const uint64_t rows = data.size() / row;
  for (uint64_t at = 0; at < rows; ++at) {
    const uint64_t i = at % head_dim;
    const uint64_t hf = at - i + i / 2 + (i % 2 == 1 ? head_dim / 2 : 0);
    const uint64_t from = to_gguf ? hf : at, to = to_gguf ? at : hf;
    std::memcpy(out.data() + to * row, data.data() + from * row, row);
  }
  return out;
}

Result<std::string> architecture_of(std::string_view model_type) {
  std::string known;
  for (const auto& type : kTypes) {
    if (type.model_type == model_type) return std::string(type.architecture);
    known += (known.empty() ? "" : ", ") + std::string(type.model_type);
  }
  return fail(Code::kUnsupported, "config.json: model_type: found \"{}\", expected one of {}", model_type,
              known);
}

std::string model_type_of(const Config& config) {
  // Llama's own class knows no window.
  if (config.architecture == "llama" && config.sliding_window > 0) return "mistral";
  const auto found = std::ranges::find(kTypes, config.architecture, &TypeName::architecture);
  return found == std::end(kTypes) ? config.architecture : std::string(found->model_type);
}

bool has_attention_bias(std::string_view model_type) {
  return model_type == "llama" || model_type == "qwen3" || model_type == "granite" || model_type.starts_with("gemma");
}

std::string hf_class_of(std::string_view model_type) {
  const auto found = std::ranges::find(kTypes, model_type, &TypeName::model_type);
  return found == std::end(kTypes) ? std::string() : std::string(found->hf_class);
}

}  // namespace bantam::model
