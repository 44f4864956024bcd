#pragma once
// Files of low-rank adapters (LoRA, Hu et al. 2021) as llama.cpp writes and reads them: GGUFs of general.type
// "adapter" and adapter.type "lora" with, for a tensor X of the model, X.lora_a [rank, columns] and X.lora_b
// [rows, rank]; for token_embd.weight, whose rows are looked up, X.lora_a [V, rank] and X.lora_b [C, rank].

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "tensor/view.h"

namespace bantam::model {

/// What an adapter adds to one tensor W of the model: W + scale * factor * B A, or A B^T for a table.
struct LowRank {
  std::string tensor;
  tensor::MatrixView a, b;
  float factor = 1;    // adapter.lora.alpha / rank; 1 without an alpha
  bool table = false;  // of token_embd.weight
};

/// One adapter, checked against its model. Views borrow from the file, which the object holds.
class AdapterFile {
 public:
  /// Errors: those of GgufFile::open and read().
  static Result<AdapterFile> open(const std::string& path, const formats::GgufFile& model);
  /// Errors, with file and tensor: kCorrupt for a shape that does not fit the model's, or half of a pair;
  /// kInvalidArgument for a file that is no adapter, one of another architecture, or a tensor that the model
  /// does not have; kUnsupported for adapters that begin to act in the middle of a text
  /// (adapter.alora.invocation_tokens) and for tensors that are no pair.
  static Result<AdapterFile> read(formats::GgufFile file, const formats::GgufFile& model);

  const std::string& path() const { return file_.path(); }
  const formats::GgufFile& file() const { return file_; }
  std::span<const LowRank> parts() const { return parts_; }
  /// Of all matrices.
  uint64_t bytes() const;

 private:
  explicit AdapterFile(formats::GgufFile file) : file_(std::move(file)) {}

  formats::GgufFile file_;
  std::vector<LowRank> parts_;
};

/// row[columns] += scale times what the part adds to this row of its tensor, by plain sums (for merging).
void add_low_rank_row(const LowRank& part, float scale, size_t row_index, std::span<float> row);

}  // namespace bantam::model
