#include "model/tensor_reader.h"

#include <fmt/ranges.h>

#include "kernels/convert.h"

namespace bantam::model {

using formats::GgufTensor;
using tensor::MatrixView;

namespace {

std::string shape_text(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

/// GGUF states the faster dimension, columns, first.
Result<MatrixView> TensorReader::matrix(const std::string& name, uint64_t rows, uint64_t columns) {
  BANTAM_ASSIGN(const GgufTensor* tensor, take(name, {columns, rows}));
  if (columns % tensor::block_elements(tensor->type) != 0) {
    return fail(Code::kCorrupt, "{}: {}: found rows of {} values, expected whole blocks of {}", file_.path(),
                name, columns, tensor::block_elements(tensor->type));
  }
  // They fit: the file holds so many values.
  return MatrixView{tensor->type, static_cast<size_t>(rows), static_cast<size_t>(columns), file_.data(*tensor).data()};
}

Result<std::vector<float>> TensorReader::vector(const std::string& name, uint64_t size) {
  BANTAM_ASSIGN(const GgufTensor* tensor, take(name, {size}));
  if (size % tensor::block_elements(tensor->type) != 0) {
    return fail(Code::kCorrupt, "{}: {}: found {} values, expected whole blocks of {}", file_.path(), name,
                size, tensor::block_elements(tensor->type));
  }
  std::vector<float> out(size);
  kernels::dequantize_row(kernels::ref::table(), tensor->type, file_.data(*tensor).data(), size, out.data());
  return out;
}

Result<std::vector<float>> TensorReader::vector_if_any(const std::string& name, uint64_t size) {
  return has(name) ? vector(name, size) : std::vector<float>{};
}

Result<std::vector<float>> TensorReader::rows(const std::string& name, uint64_t rows, uint64_t columns) {
  BANTAM_ASSIGN(const MatrixView view, matrix(name, rows, columns));
  std::vector<float> out(rows * columns);
  for (uint64_t row = 0; row < rows; ++row) {
    kernels::dequantize_row(kernels::ref::table(), view.type, view.row(row), columns,
                            out.data() + row * columns);
  }
  return out;
}

Status TensorReader::finish(const std::string& architecture) const {
  for (const auto& tensor : file_.tensors()) {
    if (!taken_.contains(tensor.name)) {
      return fail(Code::kUnsupported,
                  "{}: {}: found a tensor that architecture {}, as implemented here, does not use",
                  file_.path(), tensor.name, architecture);
    }
  }
  return {};
}

Result<const GgufTensor*> TensorReader::take(const std::string& name, const std::vector<uint64_t>& shape) {
  const GgufTensor* tensor = file_.find_tensor(name);
  if (tensor == nullptr) {
    return fail(Code::kCorrupt, "{}: {}: found no such tensor, expected one of shape {}", file_.path(), name,
                shape_text(shape));
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

}  // namespace bantam::model
