#include "model/weights.h"

#include "base/file.h"
#include "kernels/matmul.h"
#include "model/family.h"
#include "model/tensor_reader.h"

namespace bantam::model {
namespace {

using formats::GgufFile;

Status read_decoder_attention(TensorReader& in, const Config& config, bool fused, const std::string& layer,
                              LayerWeights& out) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim;
  if (fused) {
    BANTAM_ASSIGN(const MatrixView all, in.matrix(layer + "attn_qkv.weight", q + 2 * kv, c));
    out.q = rows_of(all, 0, q);
    out.k = rows_of(all, q, kv);
    out.v = rows_of(all, q + kv, kv);
  } else {
    BANTAM_ASSIGN(out.q, in.matrix(layer + "attn_q.weight", q, c));
    BANTAM_ASSIGN(out.k, in.matrix(layer + "attn_k.weight", kv, c));
    BANTAM_ASSIGN(out.v, in.matrix(layer + "attn_v.weight", kv, c));
    BANTAM_ASSIGN(out.q_bias, in.vector_if_any(layer + "attn_q.bias", q));
    BANTAM_ASSIGN(out.k_bias, in.vector_if_any(layer + "attn_k.bias", kv));
    BANTAM_ASSIGN(out.v_bias, in.vector_if_any(layer + "attn_v.bias", kv));
  }
  if (config.qk_norm) {
    BANTAM_ASSIGN(out.q_norm, in.vector(layer + "attn_q_norm.weight", config.head_dim));
    BANTAM_ASSIGN(out.k_norm, in.vector(layer + "attn_k_norm.weight", config.head_dim));
  }
  BANTAM_ASSIGN(out.attention_output, in.matrix(layer + "attn_output.weight", c, q));
  BANTAM_ASSIGN(out.output_bias, in.vector_if_any(layer + "attn_output.bias", c));
  return {};
}

Result<LayerWeights> read_decoder_layer(TensorReader& in, const Config& config, bool fused, uint32_t index) {
  const uint64_t c = config.dim, f = config.ffn_dim;
  const std::string layer = fmt::format("blk.{}.", index);
  LayerWeights out;
  BANTAM_ASSIGN(out.attention_norm, in.vector(layer + "attn_norm.weight", c));
  BANTAM_TRY(read_decoder_attention(in, config, fused, layer, out));
  BANTAM_ASSIGN(out.ffn_norm, in.vector(layer + "ffn_norm.weight", c));
  if (fused) {
    BANTAM_ASSIGN(const MatrixView both, in.matrix(layer + "ffn_up.weight", 2 * f, c));
    out.gate = rows_of(both, 0, f);
    out.up = rows_of(both, f, f);
  } else {
    BANTAM_ASSIGN(out.gate, in.matrix(layer + "ffn_gate.weight", f, c));
    BANTAM_ASSIGN(out.up, in.matrix(layer + "ffn_up.weight", f, c));
  }
  BANTAM_ASSIGN(out.down, in.matrix(layer + "ffn_down.weight", c, f));
  if (config.post_norms) {
    BANTAM_ASSIGN(out.attention_post_norm, in.vector(layer + "post_attention_norm.weight", c));
    BANTAM_ASSIGN(out.ffn_post_norm, in.vector(layer + "post_ffw_norm.weight", c));
  }
  return out;
}

/// Angles are divided by these.
Result<std::vector<float>> read_factors(TensorReader& in, const Config& config, const std::string& name) {
  BANTAM_ASSIGN(auto out,
                in.vector_if_any(name, (config.rope_dims > 0 ? config.rope_dims : config.head_dim) / 2));
  for (float factor : out) {
    if (!(factor > 0 && factor < 1e9F))
      return fail(Code::kCorrupt, "{}: {}: found {}, expected above 0", in.path(), name, factor);
  }
  return out;
}

}  // namespace

uint64_t Weights::bytes() const {
  uint64_t out = token_embedding.bytes() + output_norm.size() * sizeof(float);
  if (output.data != token_embedding.data) out += output.bytes();
  for (const auto& layer : layers) {
    for (const auto* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.gate, &layer.up, &layer.down}) {
      out += matrix->bytes();
    }
    for (const auto* vector : {&layer.attention_norm, &layer.ffn_norm, &layer.q_bias, &layer.k_bias,
                               &layer.v_bias, &layer.output_bias, &layer.q_norm, &layer.k_norm,
                               &layer.attention_post_norm, &layer.ffn_post_norm}) {
      out += vector->size() * sizeof(float);
    }
  }
  return out;
}

Result<Weights> map_weights(const GgufFile& file, const Config& config) {
  BANTAM_ASSIGN(const Family* family, find_family(config.architecture));
  TensorReader in(file);
  Weights out;
  BANTAM_ASSIGN(out.token_embedding, in.matrix("token_embd.weight", config.vocab_size, config.dim));
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    BANTAM_ASSIGN(auto weights, read_decoder_layer(in, config, family->fused, layer));
    out.layers.push_back(std::move(weights));
  }
  BANTAM_ASSIGN(out.output_norm, in.vector("output_norm.weight", config.dim));
  out.output = out.token_embedding;
  if (!config.tied_head) {
    BANTAM_ASSIGN(out.output, in.matrix("output.weight", config.vocab_size, config.dim));
  }
  BANTAM_ASSIGN(out.rope_factors, read_factors(in, config, "rope_freqs.weight"));
  BANTAM_ASSIGN(out.rope_short, read_factors(in, config, "rope_factors_short.weight"));
  BANTAM_ASSIGN(out.rope_long, read_factors(in, config, "rope_factors_long.weight"));
  BANTAM_TRY(in.finish(config.architecture));
  return out;
}

std::vector<MatrixView*> Weights::products() {
  std::vector<MatrixView*> out{&output};
  for (auto& layer : layers) {
    out.insert(out.end(),
               {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.gate, &layer.up, &layer.down});
  }
  return out;
}

std::vector<const MatrixView*> Weights::products() const {
  const auto all = const_cast<Weights*>(this)->products();  // which changes nothing
  return {all.begin(), all.end()};
}

uint64_t interleaving_bytes(const Weights& weights, const kernels::Table& table) {
  uint64_t out = 0;
  for (const MatrixView* matrix : weights.products()) {
    const uint64_t panels = kernels::panels_size(table, *matrix);
    const bool stays = matrix->data == weights.token_embedding.data;  // a tied head: its rows are embeddings
    if (panels > 0) out += panels - (stays ? 0 : matrix->bytes());
  }
  return out;
}

Result<tensor::Storage> interleave(const formats::GgufFile& file, std::span<MatrixView* const> matrices,
                                   const kernels::Table& table, ThreadPool& pool) {
  constexpr uint64_t kAlignment = tensor::Storage::kAlignment;
  const auto size_of = [&](const MatrixView& matrix) {
    return (kernels::panels_size(table, matrix) + kAlignment - 1) / kAlignment * kAlignment;
  };
  uint64_t bytes = 0;
  for (const MatrixView* matrix : matrices) bytes += size_of(*matrix);
  BANTAM_ASSIGN(auto out, tensor::Storage::allocate_large(bytes));
  std::byte* to = out.data();
  for (MatrixView* matrix : matrices) {
    if (size_of(*matrix) == 0) continue;
    kernels::copy_as_panels(table, pool, *matrix, to,
                            [&](std::span<const std::byte> rows) { file.forget(rows); });
    matrix->panels = to;
    to += size_of(*matrix);
  }
  return out;
}

}  // namespace bantam::model
