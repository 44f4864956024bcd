#pragma once
// y = x W^T for stored matrices of any type, over a thread pool.

#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/quanta.h"
#include "kernels/table.h"
#include "tensor/storage.h"
#include "tensor/view.h"

namespace bantam::kernels {

/// Rows of activations that several products share. They are rounded to int8 when the first quantised weight
/// meets them, and again where one follows that wants another rounding (quanta.h). Holds a buffer of its own,
/// so that products allocate nothing. Not for use by several threads at once.
class Activations {
 public:
  /// Buffer for up to tokens x columns. Errors: kLimit.
  static Result<Activations> create(size_t tokens, size_t columns);
  /// What create() would take.
  static size_t bytes(size_t tokens, size_t columns);

  /// Looks at x[tokens, columns], rows `stride` floats apart, which must stay unchanged while products use
  /// it.
  void set(const float* x, size_t stride, size_t tokens, size_t columns);
  size_t tokens() const { return tokens_; }
  size_t columns() const { return columns_; }
  const float* data() const { return x_; }
  size_t stride() const { return stride_; }

 private:
  friend class Products;
  void pack(const Table& table, Rounding rounding, Product& product);
  const std::byte* pack_panels(const Table& table, ThreadPool& pool, Rounding rounding);

  /// What the storage holds.
  enum class Form : uint8_t { kNone, kTiles, kPanels };

  tensor::Storage storage_;
  const float* x_ = nullptr;
  size_t stride_ = 0, tokens_ = 0, columns_ = 0;
  Rounding packed_ = Rounding::kNone;
  Form form_ = Form::kNone;
};

/// y[t, i] = dot(x row t, weights row i), rows of y `y_stride` floats apart; weights [N, columns of x] as
/// stored. With `rows` only those weight rows are multiplied, y[t, i] being that of rows[i] (each below N).
/// Small products run on the calling thread. Quantised weights: the activations are rounded to int8 in blocks
/// of 32 or, for types with super-blocks, of 256 first, as llama.cpp does.
void matmul(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, Activations& x, float* y,
            size_t y_stride, std::span<const int32_t> rows = {});

/// One of several products with the same activations.
struct MatmulPart {
  const tensor::MatrixView* weights;
  float* y;
  size_t y_stride;
};
/// The same as a matmul() for each part, at most kMostParts, at less cost.
inline constexpr size_t kMostParts = 4;
void matmul(const Table& table, ThreadPool& pool, std::span<const MatmulPart> parts, Activations& x);

/// The attention over keys and values of `type` (F32, F16 or Q8_0), with scratch of the calling thread's own: a host's threads may
/// have little stack.
void attend(const Table& table, tensor::DType type, Attention attention);

/// Bytes of `weights` with rows interleaved as `table` wants them; 0 where table or type have no such form.
size_t panels_size(const Table& table, const tensor::MatrixView& weights);
/// Writes that copy, for MatrixView::panels. `done` is told, from any thread, the stored rows that are
/// copied.
void copy_as_panels(const Table& table, ThreadPool& pool, const tensor::MatrixView& weights, std::byte* out,
                    const std::function<void(std::span<const std::byte>)>& done);

}  // namespace bantam::kernels
