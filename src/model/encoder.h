#pragma once
// The forward pass of an encoder (BERT, Devlin et al. 2019; with rotations and gates Nomic Embed, Nussbaum et
// al. 2024): x = norm(embeddings); x = norm(x + attention(x)); x = norm(x + ffn(x)), for each layer, every
// token seeing all others. T tokens, C dim, V vocabulary, F feed-forward channels.

#include <span>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "model/transformer.h"

namespace bantam::model {

/// LayerNorm (Ba et al. 2016): (x - mean) / sqrt(variance + eps) * weight + bias, [C] each.
struct LayerNormWeights {
  std::vector<float> weight, bias;
};

struct EncoderLayer {
  MatrixView q, k, v;                         // [C, C]
  std::vector<float> q_bias, k_bias, v_bias;  // [C] or empty
  MatrixView output;                          // [C, C]
  std::vector<float> output_bias;             // [C] or empty
  LayerNormWeights attention_norm;
  MatrixView gate;                        // [F, C]; no data where the layer has no gate: gelu(up) then
  MatrixView up;                          // [F, C]
  MatrixView down;                        // [C, F]
  std::vector<float> up_bias, down_bias;  // [F], [C] or empty
  LayerNormWeights ffn_norm;
};

/// Views borrow from the file they were read from.
struct EncoderWeights {
  MatrixView token_embedding;     // [V, C]
  std::vector<float> positions;   // [context, C]; empty where queries and keys rotate
  std::vector<float> token_type;  // [C], of the first type; empty where there are none
  LayerNormWeights embedding_norm;
  std::vector<EncoderLayer> layers;
  uint64_t bytes = 0;  // of all matrices and vectors

  /// Every matrix that products use.
  std::vector<MatrixView*> products();
};

/// The tensors of `file`, which must outlive the result. Errors: those of map_weights.
Result<EncoderWeights> map_encoder(const formats::GgufFile& file, const Config& config);

/// An encoder ready to run. Immutable; safe to use from many threads, each with a cache and workspace of its
/// own.
class Encoder {
 public:
  /// Borrows table and pool. `positions` is the largest number of tokens it will meet.
  Encoder(const Config& config, EncoderWeights weights, const kernels::Table& table, ThreadPool& pool,
          uint32_t positions);

  /// The hidden states hidden[T, C] of all tokens. T is at most the cache's capacity; the cache holds one
  /// layer's keys and values (KvCache::bytes of an encoder) and is overwritten.
  void forward(std::span<const int32_t> tokens, const KvCache& cache, Workspace& workspace,
               float* hidden) const;

 private:
  void embed(std::span<const int32_t> tokens, float* x) const;
  void norm(float* x, const LayerNormWeights& weights, size_t n) const;
  void keys_and_values(const EncoderLayer& layer, size_t begin, size_t n, const KvCache& cache, Workspace& ws,
                       const float* x) const;
  void attention(const EncoderLayer& layer, size_t begin, size_t n, size_t total, const KvCache& cache,
                 Workspace& ws, float* x) const;
  void feed_forward(const EncoderLayer& layer, size_t n, Workspace& ws, float* x) const;
  void linear(const MatrixView& weights, std::span<const float> bias, size_t n, Workspace& ws,
              float* y) const;
  void rotate(float* x, uint32_t position) const;

  Config config_;
  EncoderWeights weights_;
  const kernels::Table& table_;
  ThreadPool& pool_;
  Rotations rotations_;      // empty with learned positions
  std::vector<float> ones_;  // [F], where layers have no gate
};

}  // namespace bantam::model
