#include "model/adapter_file.h"

#include <cmath>

#include "kernels/convert.h"
#include "model/tensor_reader.h"

namespace bantam::model {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

constexpr std::string_view kFirst = ".lora_a", kSecond = ".lora_b", kTable = "token_embd.weight";

Status check_text(const GgufFile& file, const std::string& key, std::string_view expected) {
  BANTAM_ASSIGN(const std::string found, file.get_string_or(key, ""));
  if (found == expected) return {};
  return fail(Code::kInvalidArgument, "{}: {}: found \"{}\", expected \"{}\"", file.path(), key, found,
              expected);
}

Status check_kind(const GgufFile& file, const GgufFile& model) {
  BANTAM_TRY(check_text(file, "general.type", "adapter"));
  BANTAM_TRY(check_text(file, "adapter.type", "lora"));
  BANTAM_ASSIGN(const std::string architecture, model.get_string("general.architecture"));
  BANTAM_TRY(check_text(file, "general.architecture", architecture));
  if (file.find("adapter.alora.invocation_tokens") == nullptr) return {};
  return fail(
      Code::kUnsupported,
      "{}: adapter.alora.invocation_tokens: found an adapter that begins to act at these tokens, which "
      "is not implemented",
      file.path());
}

Result<LowRank> read_pair(TensorReader& reader, const GgufFile& file, const GgufFile& model,
                          const std::string& name) {
  const GgufTensor* base = model.find_tensor(name);
  if (base == nullptr || base->shape.size() != 2) {
    return fail(Code::kInvalidArgument, "{}: {}{}: found an adapter of a matrix that {} does not have",
                file.path(), name, kFirst, model.path());
  }
  LowRank out;
  out.tensor = name;
  out.table = name == kTable;
  const GgufTensor* first = file.find_tensor(name + std::string(kFirst));
  const uint64_t columns = base->shape[0], rows = base->shape[1];
  const uint64_t rank =
      first == nullptr || first->shape.size() < 2 ? 1 : (out.table ? first->shape[0] : first->shape[1]);
  const std::string a = name + std::string(kFirst), b = name + std::string(kSecond);
  BANTAM_ASSIGN(out.a, out.table ? reader.matrix(a, rows, rank) : reader.matrix(a, rank, columns));
  BANTAM_ASSIGN(out.b, out.table ? reader.matrix(b, columns, rank) : reader.matrix(b, rows, rank));
  return out;
}

}  // namespace

Result<AdapterFile> AdapterFile::open(const std::string& path, const GgufFile& model) {
  BANTAM_ASSIGN(auto file, GgufFile::open(path));
  return read(std::move(file), model);
}

Result<AdapterFile> AdapterFile::read(GgufFile file, const GgufFile& model) {
  BANTAM_TRY(check_kind(file, model));
  BANTAM_ASSIGN(const double alpha, file.get_float_or("adapter.lora.alpha", 0));
  if (!std::isfinite(alpha))
    return fail(Code::kCorrupt, "{}: adapter.lora.alpha: found {}, expected a number", file.path(), alpha);
  AdapterFile out(std::move(file));
  TensorReader reader(out.file_);
  for (const GgufTensor& tensor : out.file_.tensors()) {
    if (!tensor.name.ends_with(kFirst)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kFirst.size());
    BANTAM_ASSIGN(LowRank part, read_pair(reader, out.file_, model, name));
    const size_t rank = part.b.columns;
    if (alpha != 0) part.factor = static_cast<float>(alpha / static_cast<double>(rank));
    out.parts_.push_back(std::move(part));
  }
  for (const GgufTensor& tensor : out.file_.tensors()) {
    if (reader.took(tensor.name)) continue;
    return fail(Code::kUnsupported, "{}: {}: found a tensor that is not of a pair NAME.lora_a, NAME.lora_b",
                out.path(), tensor.name);
  }
  if (out.parts_.empty()) return fail(Code::kCorrupt, "{}: found no tensors, expected pairs", out.path());
  return out;
}

uint64_t AdapterFile::bytes() const {
  uint64_t out = 0;
  for (const LowRank& part : parts_) out += part.a.bytes() + part.b.bytes();
  return out;
}

void add_low_rank_row(const LowRank& part, float scale, size_t row_index, std::span<float> row) {
  const auto& table = kernels::ref::table();
  const tensor::MatrixView &one = part.table ? part.a : part.b, &all = part.table ? part.b : part.a;
  const size_t rank = one.columns;
  std::vector<float> weights(rank), values(all.columns);
  kernels::dequantize_row(table, one.type, one.row(row_index), rank, weights.data());
  for (float& weight : weights) weight *= scale * part.factor;
  if (part.table) {  // each row of B gives one column
    for (size_t c = 0; c < row.size(); ++c) {
      kernels::dequantize_row(table, all.type, all.row(c), rank, values.data());
      for (size_t r = 0; r < rank; ++r) row[c] += weights[r] * values[r];
    }
    return;
  }
  for (size_t r = 0; r < rank; ++r) {  // each row of A gives all columns
    kernels::dequantize_row(table, all.type, all.row(r), row.size(), values.data());
    for (size_t c = 0; c < row.size(); ++c) row[c] += weights[r] * values[c];
  }
}

}  // namespace bantam::model
