#include "compress/quantize.h"

#include <cmath>
#include <vector>

#include "kernels/convert.h"
#include "tensor/dtype.h"

namespace bantam::compress {
namespace {

using formats::GgmlType;
using formats::GgufFile;
using formats::GgufTensor;

/// general.file_type: what most matrices are (llama.cpp's LLAMA_FTYPE numbers).
uint32_t file_type_of(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return 0;
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ8_0:
      return 7;
  }
  return 0;
}

constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block formats, the one they have had since May 2023

/// The error of all quantized weights so far.
struct ErrorSum {
  double squares = 0;
  uint64_t count = 0;
};

/// The tensor's values as `to`. Errors: kInvalidArgument naming tensor and index for a value that is not
/// finite, or that binary16 cannot hold.
Result<std::vector<std::byte>> convert(const GgufFile& file, const GgufTensor& tensor, GgmlType to,
                                       ErrorSum& error) {
  const auto& table = kernels::ref::table();
  const size_t columns = tensor.shape.front(), rows = tensor.elements() / columns;
  const size_t from_bytes = tensor::row_bytes(tensor.type, columns),
               to_bytes = tensor::row_bytes(to, columns);
  const auto source = file.data(tensor);
  std::vector<std::byte> out(rows * to_bytes);
  std::vector<float> values(columns), stored(columns);
  for (size_t row = 0; row < rows; ++row) {
    kernels::dequantize_row(table, tensor.type, source.data() + row * from_bytes, columns, values.data());
    for (size_t c = 0; c < columns; ++c) {
      if (!std::isfinite(values[c])) {
        return fail(Code::kInvalidArgument, "{}: {}: found {} at index {}, expected a finite weight",
                    file.path(), tensor.name, values[c], row * columns + c);
      }
    }
    kernels::quantize_row(to, values.data(), columns, out.data() + row * to_bytes);
    kernels::dequantize_row(table, to, out.data() + row * to_bytes, columns, stored.data());
    for (size_t c = 0; c < columns; ++c) {
      const double difference = static_cast<double>(stored[c]) - values[c];
      if (!std::isfinite(difference)) {
        return fail(Code::kInvalidArgument, "{}: {}: found {} at index {}, too large for {}", file.path(),
                    tensor.name, values[c], row * columns + c,
                    formats::ggml_type_name(static_cast<uint32_t>(to)));
      }
      error.squares += difference * difference;
    }
  }
  error.count += tensor.elements();
  return out;
}

/// What a tensor becomes when matrices shall be `wanted`.
GgmlType target_of(const GgufTensor& tensor, GgmlType wanted) {
  if (tensor.shape.size() < 2) return GgmlType::kF32;
  return tensor.shape.front() % tensor::block_elements(wanted) == 0 ? wanted : GgmlType::kF16;
}

}  // namespace

Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, GgmlType type,
                                     const ProgressSink& progress) {
  BANTAM_ASSIGN(auto file, GgufFile::open(in));
  formats::GgufWriter writer;
  writer.copy_metadata(file);
  writer.set("general.file_type", file_type_of(type));
  writer.set("general.quantization_version", kQuantizationVersion);
  QuantizeReport report{.tensors = file.tensors().size(), .bytes_before = file.file_bytes()};
  ErrorSum error;
  uint64_t done = 0;
  for (const auto& tensor : file.tensors()) {
    const GgmlType to = target_of(tensor, type);
    const bool matrix = tensor.shape.size() >= 2;
    if (matrix && to != type) report.kept_names += (report.kept_names.empty() ? "" : ",") + tensor.name;
    ++(matrix && to == type ? report.quantized : report.kept);
    ErrorSum norms;  // one-dimensional tensors widen exactly and are no part of the figure
    BANTAM_ASSIGN(auto data, convert(file, tensor, to, matrix && to == type ? error : norms));
    BANTAM_TRY(writer.add_tensor(tensor.name, to, tensor.shape, data));
    if (progress)
      progress({.step = "quantize", .done = ++done, .total = report.tensors, .note = tensor.name});
  }
  BANTAM_TRY(writer.write(out));
  BANTAM_ASSIGN(auto written, GgufFile::open(out));
  report.bytes_after = written.file_bytes();
  report.rmse = error.count == 0 ? 0 : std::sqrt(error.squares / static_cast<double>(error.count));
  return report;
}

}  // namespace bantam::compress
