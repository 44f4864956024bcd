#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "tensor/view.h"

namespace bantam::model {

/// Takes tensors out of a file by name and remembers which. Errors of all: kCorrupt for a tensor that is
/// missing or of another shape (its name, found, expected).
class TensorReader {
 public:
  /// `file` must outlive the object and what it gives.
  explicit TensorReader(const formats::GgufFile& file) : file_(file) {}

  const std::string& path() const { return file_.path(); }
  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  bool took(const std::string& name) const { return taken_.contains(name); }
  /// A matrix [rows, columns], used in place.
  Result<tensor::MatrixView> matrix(const std::string& name, uint64_t rows, uint64_t columns);
  /// The values of a vector of any type.
  Result<std::vector<float>> vector(const std::string& name, uint64_t size);
  /// The same; empty where the file has no such tensor.
  Result<std::vector<float>> vector_if_any(const std::string& name, uint64_t size);
  /// The values of a matrix of any type, row by row.
  Result<std::vector<float>> rows(const std::string& name, uint64_t rows, uint64_t columns);
  /// kUnsupported when the file holds a tensor that nothing took.
  Status finish(const std::string& architecture) const;

 private:
  Result<const formats::GgufTensor*> take(const std::string& name, const std::vector<uint64_t>& shape);

  const formats::GgufFile& file_;
  std::set<std::string> taken_;
};

/// Rows begin .. begin + count - 1 of a matrix.
inline tensor::MatrixView rows_of(const tensor::MatrixView& matrix, size_t begin, size_t count) {
  return {matrix.type, count, matrix.columns, matrix.data + begin * matrix.row_bytes()};
}

}  // namespace bantam::model
