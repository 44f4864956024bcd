#pragma once
// The forward pass of a decoder of the Llama family (Touvron et al. 2023) and its relatives: x += attention(
// norm(x)); x += swiglu(norm(x)), for each layer, with what Config adds. T tokens of the batch, C dim, V
// vocabulary.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/matmul.h"
#include "kernels/table.h"
#include "model/adapters.h"
#include "model/config.h"
#include "model/rope.h"
#include "model/weights.h"
#include "tensor/storage.h"

namespace bantam::model {

/// Of a page of a KvCache: what attention reads at a time.
inline constexpr uint32_t kPageTokens = kernels::kKeyTile;

/// Where one sequence's keys and values are: in pages of kPageTokens positions, each [2][layers][kv_heads][kPageTokens][stride], keys
/// before values, stride being head_dim rounded up to whole vectors of 8, or to blocks of 32 (zero from head_dim on). Sequences may
/// share pages that none of them writes to. A view: the pages belong to the caller, zeroed at first.
struct KvCache {
  tensor::DType type = tensor::DType::kF16;  // or kF32, kQ8_0
  uint32_t capacity = 0;                     // positions
  std::span<std::byte* const> pages = {};

  static uint64_t page_bytes(const Config& config, tensor::DType type);
  /// Of pages for so many positions.
  static size_t page_count(uint32_t capacity) { return (size_t{capacity} + kPageTokens - 1) / kPageTokens; }
  static uint64_t bytes(const Config& config, tensor::DType type, uint32_t capacity) {
    return page_count(capacity) * page_bytes(config, type);
  }
};

/// The buffers of one forward pass at a time, taken once. For up to `batch` tokens.
class Workspace {
 public:
  /// With room for `adapters`, where there are some. Errors: kLimit.
  static Result<Workspace> create(const Config& config, uint32_t batch, const Adapters* adapters = nullptr);
  static uint64_t bytes(const Config& config, uint32_t batch, const Adapters* adapters = nullptr);
  uint32_t batch() const { return batch_; }

 private:
  friend class Transformer;
  friend class Encoder;
  uint32_t batch_ = 0;
  tensor::Storage storage_;
  std::span<float> x_, norm_, q_, k_, v_, attention_, gate_, up_;  // [batch, width] each
  std::vector<uint32_t> positions_;                                // of each row
  std::vector<const KvCache*> caches_;                             // likewise
  std::vector<AdapterScales> scales_;                              // likewise, where there are adapters
  std::vector<uint32_t> outputs_;                                  // rows whose hidden states are wanted
  kernels::Activations activations_;
  AdapterBuffers adapter_buffers_;
};

/// Tokens to take in: token t stands at position + t, and the cache already holds the positions before.
struct Batch {
  std::span<const int32_t> tokens;  // at most the workspace's batch, each below V
  uint32_t position = 0;            // position + T is at most the cache's capacity
  std::span<const uint32_t>
      outputs;  // ascending indices into tokens whose hidden states are wanted; may be empty
};

/// Tokens of one sequence among several that are taken in together.
struct Segment {
  Batch batch;
  const KvCache* cache = nullptr;
  AdapterScales scales = {};  // of the transformer's adapters
};

/// A decoder ready to run. Immutable; safe to use from many threads, each with a cache and workspace of its
/// own.
class Transformer {
 public:
  /// Borrows weights, table, pool and adapters (which may be null). `positions` is the largest number of
  /// positions it will meet.
  Transformer(const Config& config, const Weights& weights, const kernels::Table& table, ThreadPool& pool,
              uint32_t positions, const Adapters* adapters = nullptr);

  const Config& config() const { return config_; }
  /// Writes the batch's keys and values to the cache and the normalised last hidden states of batch.outputs
  /// to hidden[outputs, C].
  void forward(const Batch& batch, const KvCache& cache, Workspace& workspace, float* hidden,
               AdapterScales scales = {}) const;
  /// The same for several sequences at once, at most the workspace's batch tokens in all and no cache twice;
  /// hidden states in the order of the segments. Each sequence's results are those it would have alone, in
  /// every bit.
  void forward(std::span<const Segment> segments, Workspace& workspace, float* hidden) const;
  /// logits[n, rows] = hidden[n, C] times the rows of the head that `rows` names (all of V when empty); n is
  /// at most the workspace's batch. `scales` are those of all n.
  void logits(const float* hidden, size_t n, std::span<const int32_t> rows, Workspace& workspace,
              float* logits, AdapterScales scales = {}) const;

  /// Bytes of the tables of rotations.
  static uint64_t rope_bytes(const Config& config, uint32_t positions);

 private:
  void embed(const Segment& segment, Workspace& workspace, float* x) const;
  void norm(const float* x, std::span<const float> weight, size_t n, float* out) const;
  size_t gather(std::span<const Segment> segments, Workspace& workspace) const;
  size_t keep_outputs(Workspace& workspace) const;
  void keys_and_values(uint32_t layer, size_t n, bool queries, Workspace& workspace) const;
  void attention(uint32_t layer, size_t n, Workspace& workspace) const;
  void feed_forward(const LayerWeights& weights, size_t n, Workspace& workspace) const;
  void rotate(float* x, size_t heads, uint32_t layer, uint32_t position) const;
  void norm_heads(float* x, size_t heads, std::span<const float> weight) const;
  void add_to_stream(std::span<const float> post_norm, size_t n, Workspace& workspace) const;
  void product(const MatrixView& weights, Workspace& workspace, float* y) const;
  void products(std::span<const kernels::MatmulPart> parts, Workspace& workspace) const;

  Config config_;
  const Weights& weights_;
  const kernels::Table& table_;
  ThreadPool& pool_;
  const Adapters* adapters_;
  Rotations rotations_;         // of all layers, or of those without a window
  Rotations window_rotations_;  // of those with one, where they have a base of their own
};

}  // namespace bantam::model
