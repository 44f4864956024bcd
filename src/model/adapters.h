#pragma once
// Low-rank adapters at work beside a decoder's weights, several at once, each with a scale that may differ
// from one sequence of a batch to the next.

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/matmul.h"
#include "kernels/table.h"
#include "model/adapter_file.h"
#include "model/config.h"
#include "model/weights.h"

namespace bantam::model {

/// The scale of each adapter for one sequence, in their order; empty or 0: as if it were not there.
using AdapterScales = std::span<const float>;

/// Room for one product at a time.
class AdapterBuffers {
 public:
  /// For up to `batch` rows. Errors: kLimit.
  static Result<AdapterBuffers> create(const class Adapters& adapters, size_t batch);
  static uint64_t bytes(const Adapters& adapters, size_t batch);

 private:
  friend class Adapters;
  kernels::Activations activations_;
  std::vector<float> inner_, outer_;  // [batch, rank]; [some rows, width]
};

/// Immutable after the last add(); safe to use from many threads, each with buffers of its own.
class Adapters {
 public:
  /// `weights` and `config` are those of the file it was checked against; `weights` must stay where it is.
  void add(AdapterFile file, const Weights& weights, const Config& config);

  size_t size() const { return files_.size(); }
  bool empty() const { return files_.empty(); }
  const AdapterFile& file(size_t index) const { return *files_[index]; }
  uint64_t bytes() const;
  /// One of them adds to the logits.
  bool changes(const MatrixView& weights) const { return matrices_.contains(&weights); }

  /// Where a product and its parts are computed.
  struct Place {
    const kernels::Table& table;
    ThreadPool& pool;
    AdapterBuffers& buffers;
  };
  /// y[t, i] += what the adapters add to x row t times weights row i (or rows[i]), for `tokens` rows of x,
  /// `stride` floats apart, of one sequence. `weights` is the object that belongs to the model, not a copy.
  void add_product(const MatrixView& weights, const float* x, size_t stride, size_t tokens,
                   AdapterScales scales, const Place& place, float* y, size_t y_stride,
                   std::span<const int32_t> rows = {}) const;
  /// The same for rows of several sequences: scales of each row.
  void add_products(const MatrixView& weights, const kernels::Activations& x,
                    std::span<const AdapterScales> scales, const Place& place, float* y,
                    size_t y_stride) const;
  /// x[t, C] += what they add to the token's row of the embedding table.
  void add_embeddings(std::span<const int32_t> tokens, AdapterScales scales, const Place& place, float* x,
                      size_t dim) const;

 private:
  friend class AdapterBuffers;
  struct Part {
    size_t adapter;
    float factor;
    MatrixView a, b;  // [rank, columns], [rows, rank]; of the embedding table [V, rank], [C, rank]
  };
  void add_part(const MatrixView& weights, Part part);
  void add_low_rank(const Part& part, float scale, size_t tokens, const Place& place, float* y,
                    size_t y_stride, std::span<const int32_t> rows) const;
  void add_rows(const Part& part, size_t tokens, const Place& place, float* y, size_t y_stride,
                std::span<const int32_t> rows) const;

  std::vector<std::unique_ptr<AdapterFile>> files_;
  std::map<const MatrixView*, std::vector<Part>> matrices_;
  std::vector<Part> table_;                    // of token_embd.weight
  std::vector<std::vector<float>> own_;        // transposed matrices
  size_t rank_ = 0, columns_ = 0, width_ = 0;  // the largest
};

}  // namespace bantam::model
