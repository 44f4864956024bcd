#include "model/weights.h"

#include <fmt/ranges.h>

#include <set>

#include "kernels/convert.h"

namespace bantam::model {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

std::string shape_text(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Takes tensors out of a file by name and remembers which.
class Reader {
 public:
  explicit Reader(const GgufFile& file) : file_(file) {}

  /// A matrix [rows, columns]; GGUF states the faster dimension, columns, first.
  Result<MatrixView> matrix(const std::string& name, uint64_t rows, uint64_t columns) {
    BANTAM_ASSIGN(const GgufTensor* tensor, take(name, {columns, rows}));
    if (columns % tensor::block_elements(tensor->type) != 0) {
      return fail(Code::kCorrupt, "{}: {}: found rows of {} values, expected whole blocks of {}",
                  file_.path(), name, columns, tensor::block_elements(tensor->type));
    }
    return MatrixView{tensor->type, rows, columns, file_.data(*tensor).data()};
  }

  Result<std::vector<float>> vector(const std::string& name, uint64_t size) {
    BANTAM_ASSIGN(const GgufTensor* tensor, take(name, {size}));
    if (size % tensor::block_elements(tensor->type) != 0) {
      return fail(Code::kCorrupt, "{}: {}: found {} values, expected whole blocks of {}", file_.path(), name,
                  size, tensor::block_elements(tensor->type));
    }
    std::vector<float> out(size);
    kernels::dequantize_row(kernels::ref::table(), tensor->type, file_.data(*tensor).data(), size,
                            out.data());
    return out;
  }

  /// Errors when the file holds a tensor that nothing took.
  Status finish() const {
    for (const auto& tensor : file_.tensors()) {
      if (!taken_.contains(tensor.name)) {
        return fail(Code::kUnsupported,
                    "{}: {}: found a tensor that architecture llama, as implemented here, does not use",
                    file_.path(), tensor.name);
      }
    }
    return {};
  }

 private:
  Result<const GgufTensor*> take(const std::string& name, const std::vector<uint64_t>& shape) {
    const GgufTensor* tensor = file_.find_tensor(name);
    if (tensor == nullptr) {
      return fail(Code::kCorrupt, "{}: {}: found no such tensor, expected one of shape {}", file_.path(),
                  name, shape_text(shape));
    }
    std::vector<uint64_t> found = tensor->shape;
    while (found.size() > shape.size() && found.back() == 1) found.pop_back();
    if (found != shape) {
      return fail(Code::kCorrupt, "{}: {}: found shape {}, expected {}", file_.path(), name,
                  shape_text(tensor->shape), shape_text(shape));
    }
    const size_t unit = tensor->type == tensor::DType::kF32 ? alignof(float) : alignof(uint16_t);
    if (reinterpret_cast<uintptr_t>(file_.data(*tensor).data()) % unit != 0) {
      return fail(Code::kUnsupported, "{}: {}: found its data at byte {}, expected a multiple of {}",
                  file_.path(), name, tensor->offset, unit);
    }
    taken_.insert(name);
    return tensor;
  }

  const GgufFile& file_;
  std::set<std::string> taken_;
};

Result<LayerWeights> read_layer(Reader& in, const Config& config, uint32_t layer) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim, f = config.ffn_dim;
  const auto name = [layer](std::string_view part) { return fmt::format("blk.{}.{}.weight", layer, part); };
  LayerWeights out;
  BANTAM_ASSIGN(out.attention_norm, in.vector(name("attn_norm"), c));
  BANTAM_ASSIGN(out.q, in.matrix(name("attn_q"), q, c));
  BANTAM_ASSIGN(out.k, in.matrix(name("attn_k"), kv, c));
  BANTAM_ASSIGN(out.v, in.matrix(name("attn_v"), kv, c));
  BANTAM_ASSIGN(out.attention_output, in.matrix(name("attn_output"), c, q));
  BANTAM_ASSIGN(out.ffn_norm, in.vector(name("ffn_norm"), c));
  BANTAM_ASSIGN(out.gate, in.matrix(name("ffn_gate"), f, c));
  BANTAM_ASSIGN(out.up, in.matrix(name("ffn_up"), f, c));
  BANTAM_ASSIGN(out.down, in.matrix(name("ffn_down"), c, f));
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
    out += (layer.attention_norm.size() + layer.ffn_norm.size()) * sizeof(float);
  }
  return out;
}

Result<Weights> map_weights(const GgufFile& file, const Config& config) {
  Reader in(file);
  Weights out;
  BANTAM_ASSIGN(out.token_embedding, in.matrix("token_embd.weight", config.vocab_size, config.dim));
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    BANTAM_ASSIGN(auto weights, read_layer(in, config, layer));
    out.layers.push_back(std::move(weights));
  }
  BANTAM_ASSIGN(out.output_norm, in.vector("output_norm.weight", config.dim));
  out.output = out.token_embedding;
  if (!config.tied_head) {
    BANTAM_ASSIGN(out.output, in.matrix("output.weight", config.vocab_size, config.dim));
  }
  BANTAM_TRY(in.finish());
  return out;
}

}  // namespace bantam::model
