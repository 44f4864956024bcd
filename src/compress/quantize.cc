#include "compress/quantize.h"

#include <cmath>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/convert.h"
#include "model/adapter_file.h"
#include "tensor/dtype.h"

namespace bantam::compress {
namespace {

using formats::GgmlType;
using formats::GgufFile;
using formats::GgufTensor;

constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block formats, the one they have had since May 2023
constexpr size_t kRowsAtOnce = 8;

/// The error of all quantized weights so far.
struct ErrorSum {
  double squares = 0, values = 0;
  uint64_t count = 0;
};

/// What an adapter adds to a tensor, and how much of it.
struct Addition {
  const model::LowRank* part;
  float scale;
};

std::vector<Addition> additions_to(const GgufTensor& tensor, const std::vector<model::AdapterFile>& files,
                                   const std::vector<runtime::AdapterOption>& options) {
  std::vector<Addition> out;
  for (size_t i = 0; i < files.size(); ++i) {
    for (const model::LowRank& part : files[i].parts()) {
      if (part.tensor == tensor.name) out.push_back({&part, options[i].scale});
    }
  }
  return out;
}

/// One tensor on its way from one type to another; rows may be converted by several threads.
class Conversion {
 public:
  Conversion(const GgufFile& file, const GgufTensor& tensor, GgmlType to, std::vector<Addition> additions)
      : file_(file),
        tensor_(tensor),
        to_(to),
        additions_(std::move(additions)),
        columns_(tensor.shape.front()),
        rows_(tensor.elements() / columns_),
        from_bytes_(tensor::row_bytes(tensor.type, columns_)),
        to_bytes_(tensor::row_bytes(to, columns_)),
        source_(file.data(tensor)),
        out_(rows_ * to_bytes_),
        sums_(rows_) {}

  /// Errors: kInvalidArgument naming tensor and index for a value that is not finite, or that `to` cannot
  /// hold.
  Status run(ThreadPool& pool, ErrorSum& error) {
    const auto rows = [this](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) {
        if (!convert(row)) return;
      }
    };
    pool.parallel_for(rows_, kRowsAtOnce, std::cref(rows));
    if (failed_) return std::unexpected(*failed_);
    for (const ErrorSum& sum : sums_) {  // in order, so that the figure does not depend on the threads
      error.squares += sum.squares;
      error.values += sum.values;
    }
    error.count += tensor_.elements();
    return {};
  }
  std::span<const std::byte> data() const { return out_; }

 private:
  bool convert(size_t row) {
    const auto& table = kernels::ref::table();
    std::vector<float> values(columns_), stored(columns_);
    kernels::dequantize_row(table, tensor_.type, source_.data() + row * from_bytes_, columns_, values.data());
    for (const Addition& addition : additions_)
      model::add_low_rank_row(*addition.part, addition.scale, row, values);
    for (size_t c = 0; c < columns_; ++c) {
      if (!std::isfinite(values[c])) return refuse(row, c, values[c], "expected a finite weight");
    }
    std::byte* to = out_.data() + row * to_bytes_;
    kernels::quantize_row(to_, values.data(), columns_, to);
    kernels::dequantize_row(table, to_, to, columns_, stored.data());
    for (size_t c = 0; c < columns_; ++c) {
      const double difference = static_cast<double>(stored[c]) - values[c];
      if (!std::isfinite(difference)) {
        return refuse(row, c, values[c],
                      "too large for " + formats::ggml_type_name(static_cast<uint32_t>(to_)));
      }
      sums_[row].squares += difference * difference;
      sums_[row].values += static_cast<double>(values[c]) * values[c];
    }
    return true;
  }

  /// Keeps the error of the first row.
  bool refuse(size_t row, size_t c, float value, const std::string& why) {
    const std::scoped_lock lock(mutex_);
    if (failed_ && failed_row_ < row) return false;
    failed_row_ = row;
    failed_ = fail(Code::kInvalidArgument, "{}: {}: found {} at index {}, {}", file_.path(), tensor_.name,
                   value, row * columns_ + c, why)
                  .error();
    return false;
  }

  const GgufFile& file_;
  const GgufTensor& tensor_;
  GgmlType to_;
  std::vector<Addition> additions_;
  size_t columns_, rows_, from_bytes_, to_bytes_;
  std::span<const std::byte> source_;
  std::vector<std::byte> out_;
  std::vector<ErrorSum> sums_;
  std::mutex mutex_;
  std::optional<Error> failed_;
  size_t failed_row_ = 0;
};

/// A file without these keys is still a file of matrices: the mixes then go by the names alone.
MixModel model_of(const GgufFile& file) {
  const std::string prefix = file.get_string("general.architecture").value_or("");
  const auto number = [&](const char* key) { return file.get_uint(prefix + key).value_or(0); };
  const uint64_t heads = number(".attention.head_count"), kv = number(".attention.head_count_kv");
  return {.layers = static_cast<uint32_t>(number(".block_count")),
          .queries_per_key = kv > 0 ? static_cast<uint32_t>(heads / kv) : 1,
          .has_output = file.find_tensor("output.weight") != nullptr};
}

}  // namespace

Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, const Mix& mix,
                                     const ProgressSink& progress, unsigned threads,
                                     const std::vector<runtime::AdapterOption>& adapters) {
  BANTAM_ASSIGN(auto file, GgufFile::open(in));
  std::vector<model::AdapterFile> opened;
  for (const auto& adapter : adapters) {
    BANTAM_ASSIGN(auto one, model::AdapterFile::open(adapter.path, file));
    opened.push_back(std::move(one));
  }
  formats::GgufWriter writer;
  writer.copy_metadata(file);
  writer.set("general.file_type", mix.file_type);
  writer.set("general.quantization_version", kQuantizationVersion);
  QuantizeReport report{.tensors = file.tensors().size(), .bytes_before = file.file_bytes()};
  const MixModel model = model_of(file);
  ThreadPool pool(threads);
  ErrorSum error;
  uint64_t done = 0;
  for (const auto& tensor : file.tensors()) {
    const bool matrix = tensor.shape.size() >= 2;
    const GgmlType wanted = matrix ? wanted_type(mix, model, tensor.name) : GgmlType::kF32;
    const GgmlType to = matrix ? mixed_type(mix, model, tensor.name, tensor.shape.front()) : GgmlType::kF32;
    const bool as_wanted = matrix && to == wanted;
    if (matrix && !as_wanted) {
      report.kept_names += report.kept_names.empty() ? "" : ",";
      report.kept_names +=
          fmt::format("{} ({})", tensor.name, formats::ggml_type_name(static_cast<uint32_t>(to)));
    }
    ++(as_wanted ? report.quantized : report.kept);
    ErrorSum norms;  // one-dimensional tensors widen exactly and are no part of the figure
    Conversion conversion(file, tensor, to, additions_to(tensor, opened, adapters));
    BANTAM_TRY(conversion.run(pool, matrix ? error : norms));
    BANTAM_TRY(writer.add_tensor(tensor.name, to, tensor.shape, conversion.data()));
    if (progress)
      progress({.step = "quantize", .done = ++done, .total = report.tensors, .note = tensor.name});
  }
  BANTAM_TRY(writer.write(out));
  BANTAM_ASSIGN(auto written, GgufFile::open(out));
  report.bytes_after = written.file_bytes();
  report.rmse = error.count == 0 ? 0 : std::sqrt(error.squares / static_cast<double>(error.count));
  report.relative_rmse = error.values > 0 ? std::sqrt(error.squares / error.values) : 0;
  return report;
}

Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, GgmlType type,
                                     const ProgressSink& progress) {
  return quantize_file(in, out, pure_mix(type), progress);
}

}  // namespace bantam::compress
