#pragma once
// The decoder of model/config.h as differentiable LibTorch code. Private to train/: nothing outside includes
// Torch.

#include <torch/torch.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model/config.h"
#include "train/ops.h"

namespace bantam::train {

/// What pruning looks at: means over the tokens of the calibration batches, taken while `Decoder::observe` is
/// set.
struct Activations {
  std::vector<torch::Tensor> ffn;    // per layer [ffn_dim]: mean |SwiGLU channel|
  std::vector<torch::Tensor> heads;  // per layer [heads]: mean L2 norm of a head's output
  std::vector<double>
      layer_influence;  // per layer: 1 - mean cosine(input, output) (block influence, Men et al. 2024)
  torch::Tensor
      channels;  // [dim]: mean |normed residual channel| over all norms (Minitron, Muralidharan et al. 2024)
  int64_t batches = 0;
};

/// Weights by their GGUF names, F32, rows first as torch has them: a matrix is [out, in].
class Decoder {
 public:
  /// Random weights: normal(0, 0.02), residual outputs scaled by 1/sqrt(2 layers) (GPT-2); equal seeds give
  /// equal weights.
  static Decoder random(const model::Config& config, uint64_t seed);
  /// Any float or quantized GGUF of the Llama family, widened to F32. Errors: those of the file and of
  /// read_config.
  static Result<Decoder> load(const formats::GgufFile& file);

  /// tokens: int64 [B, T], right-padded (a causal model never looks right). Returns hidden states after the
  /// last norm [B, T, C]. `dropout` acts on embeddings and residual branches.
  /// `starts` (int32 [B, T], or undefined) keeps attention within documents, as in rope_attention().
  torch::Tensor forward(const torch::Tensor& tokens, const Dropout& dropout = {},
                        Activations* observe = nullptr, const torch::Tensor& starts = {}) const;
  /// The output projection [V, C].
  const torch::Tensor& head() const {
    return weight(config_.tied_head ? "token_embd.weight" : "output.weight");
  }
  /// hidden [..., C] to logits [..., V].
  torch::Tensor logits(const torch::Tensor& hidden) const;
  /// hidden [N, C] to logits [N, ids] of those vocabulary rows alone.
  torch::Tensor logits_of(const torch::Tensor& hidden, const torch::Tensor& ids) const;

  /// Moves the weights, which stay float32; `compute` is the type of activations and of matrix products.
  void to(torch::Device device, torch::Dtype compute);
  torch::Device device() const { return weights_.front().second.device(); }

  const model::Config& config() const { return config_; }
  /// In a fixed order. Tensors share storage with the model.
  const std::vector<std::pair<std::string, torch::Tensor>>& weights() const { return weights_; }
  const torch::Tensor& weight(const std::string& name) const;
  void set_requires_grad(bool on);
  /// Adds config and F32 tensors to `file`.
  Status save(formats::GgufWriter& file) const;

  Decoder(model::Config config, std::vector<std::pair<std::string, torch::Tensor>> weights);

 private:
  struct Layer {
    torch::Tensor attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  };
  void bind_layers();

  model::Config config_;
  torch::Dtype compute_ = torch::kFloat32;
  std::vector<std::pair<std::string, torch::Tensor>> weights_;
  std::map<std::string, size_t> index_;
  std::vector<Layer> layers_;
  RopeAngles angles_;
};

}  // namespace bantam::train
