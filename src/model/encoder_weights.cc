// The tensors of an encoder by their names in a GGUF.

#include "model/encoder.h"
#include "model/tensor_reader.h"

namespace bantam::model {
namespace {

Result<LayerNormWeights> read_norm(TensorReader& in, const std::string& name, uint64_t size) {
  LayerNormWeights out;
  BANTAM_ASSIGN(out.weight, in.vector(name + ".weight", size));
  BANTAM_ASSIGN(out.bias, in.vector(name + ".bias", size));
  return out;
}

Status read_encoder_attention(TensorReader& in, const std::string& layer, uint64_t c, EncoderLayer& out) {
  if (in.has(layer + "attn_qkv.weight")) {
    BANTAM_ASSIGN(const MatrixView all, in.matrix(layer + "attn_qkv.weight", 3 * c, c));
    BANTAM_ASSIGN(const auto bias, in.vector_if_any(layer + "attn_qkv.bias", 3 * c));
    MatrixView* parts[] = {&out.q, &out.k, &out.v};
    std::vector<float>* biases[] = {&out.q_bias, &out.k_bias, &out.v_bias};
    for (size_t i = 0; i < 3; ++i) {
      *parts[i] = rows_of(all, i * c, c);
      if (!bias.empty()) biases[i]->assign(bias.begin() + i * c, bias.begin() + (i + 1) * c);
    }
  } else {
    BANTAM_ASSIGN(out.q, in.matrix(layer + "attn_q.weight", c, c));
    BANTAM_ASSIGN(out.k, in.matrix(layer + "attn_k.weight", c, c));
    BANTAM_ASSIGN(out.v, in.matrix(layer + "attn_v.weight", c, c));
    BANTAM_ASSIGN(out.q_bias, in.vector_if_any(layer + "attn_q.bias", c));
    BANTAM_ASSIGN(out.k_bias, in.vector_if_any(layer + "attn_k.bias", c));
    BANTAM_ASSIGN(out.v_bias, in.vector_if_any(layer + "attn_v.bias", c));
  }
  BANTAM_ASSIGN(out.output, in.matrix(layer + "attn_output.weight", c, c));
  BANTAM_ASSIGN(out.output_bias, in.vector_if_any(layer + "attn_output.bias", c));
  BANTAM_ASSIGN(out.attention_norm, read_norm(in, layer + "attn_output_norm", c));
  return {};
}

Result<EncoderLayer> read_encoder_layer(TensorReader& in, const Config& config, uint32_t index) {
  const uint64_t c = config.dim, f = config.ffn_dim;
  const std::string layer = fmt::format("blk.{}.", index);
  EncoderLayer out;
  BANTAM_TRY(read_encoder_attention(in, layer, c, out));
  if (in.has(layer + "ffn_gate.weight")) {
    BANTAM_ASSIGN(out.gate, in.matrix(layer + "ffn_gate.weight", f, c));
  }
  BANTAM_ASSIGN(out.up, in.matrix(layer + "ffn_up.weight", f, c));
  BANTAM_ASSIGN(out.up_bias, in.vector_if_any(layer + "ffn_up.bias", f));
  BANTAM_ASSIGN(out.down, in.matrix(layer + "ffn_down.weight", c, f));
  BANTAM_ASSIGN(out.down_bias, in.vector_if_any(layer + "ffn_down.bias", c));
  BANTAM_ASSIGN(out.ffn_norm, read_norm(in, layer + "layer_output_norm", c));
  return out;
}

}  // namespace

Result<EncoderWeights> map_encoder(const formats::GgufFile& file, const Config& config) {
  const uint64_t c = config.dim;
  if (uint64_t{config.heads} * config.head_dim != c || config.kv_heads != config.heads) {
    return fail(Code::kUnsupported, "{}: found {} heads of {} channels and {} for keys, expected {} in all",
                file.path(), config.heads, config.head_dim, config.kv_heads, c);
  }
  TensorReader in(file);
  EncoderWeights out;
  BANTAM_ASSIGN(out.token_embedding, in.matrix("token_embd.weight", config.vocab_size, c));
  if (in.has("position_embd.weight")) {
    BANTAM_ASSIGN(out.positions, in.rows("position_embd.weight", config.context_length, c));
  }
  if (in.has("token_types.weight")) {
    BANTAM_ASSIGN(uint64_t types, file.get_uint_or("tokenizer.ggml.token_type_count", 2));
    BANTAM_ASSIGN(out.token_type, in.rows("token_types.weight", types, c));
    out.token_type.resize(c);
  }
  BANTAM_ASSIGN(out.embedding_norm, read_norm(in, "token_embd_norm", c));
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    BANTAM_ASSIGN(auto weights, read_encoder_layer(in, config, layer));
    out.layers.push_back(std::move(weights));
  }
  BANTAM_TRY(in.finish(config.architecture));
  for (const auto& tensor : file.tensors()) out.bytes += tensor.bytes;
  return out;
}

}  // namespace bantam::model
