#pragma once
// The named matrices of a decoder, where they lie in a file or in memory. C dim, V vocabulary, F feed-forward
// channels, Q = heads * head_dim, K = kv_heads * head_dim. A matrix [rows, columns] maps `columns` channels
// to `rows`.

#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "formats/gguf.h"
#include "kernels/table.h"
#include "model/config.h"
#include "tensor/storage.h"
#include "tensor/view.h"

namespace bantam::model {

using tensor::MatrixView;

struct LayerWeights {
  std::vector<float> attention_norm;  // [C]
  MatrixView q;                       // [Q, C]
  MatrixView k, v;                    // [K, C]
  MatrixView attention_output;        // [C, Q]
  std::vector<float> ffn_norm;        // [C]
  // Empty where the family or the file has none:
  std::vector<float> q_bias, k_bias, v_bias, output_bias;  // [Q], [K], [K], [C]
  std::vector<float> q_norm, k_norm;                       // [head_dim], for each head
  std::vector<float> attention_post_norm, ffn_post_norm;   // [C]
  MatrixView gate, up;                                     // [F, C]
  MatrixView down;                                         // [C, F]
};

/// Views borrow from the file they were read from, or from `owned`.
struct Weights {
  MatrixView token_embedding;  // [V, C]
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;  // [C]
  MatrixView output;               // [V, C]; token_embedding when tied
  /// By which the angle of each pair of channels is divided, empty where the file has none: of all texts, or
  /// of those within and beyond the context the model was trained for. [rotated channels / 2]
  std::vector<float> rope_factors, rope_short, rope_long;
  std::vector<tensor::Storage> owned;

  /// Every matrix that products use; the head is the first.
  std::vector<MatrixView*> products();
  std::vector<const MatrixView*> products() const;
  /// Bytes of all matrices and norms, a tied head counted once.
  uint64_t bytes() const;
};

/// The tensors of `file` under its family's names (family.h), used in place; norms and biases (of any type)
/// are copied as floats. `file` must outlive the result. Errors: kCorrupt for a tensor that is missing or of
/// another shape (its name, found, expected); kUnsupported for a tensor that this architecture does not use,
/// since leaving it out would change the result in silence.
Result<Weights> map_weights(const formats::GgufFile& file, const Config& config);

/// Gives the matrices, which are `file`'s, copies with rows interleaved (kernels/panels.h), where `table` has
/// use for them, in place of the file's pages: where those were mapped, together they take as much memory as
/// before. The copies live as long as what is returned. Errors: kLimit.
Result<tensor::Storage> interleave(const formats::GgufFile& file, std::span<MatrixView* const> matrices,
                                   const kernels::Table& table, ThreadPool& pool);
/// What interleave() will make memory hold beyond Weights::bytes(): padding, and a tied head's second form.
uint64_t interleaving_bytes(const Weights& weights, const kernels::Table& table);

}  // namespace bantam::model
