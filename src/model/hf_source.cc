#include "model/hf_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace bantam::model {
namespace {

namespace fs = std::filesystem;
using formats::SafeTensor;

/// Under which a model may stand inside a larger one.
constexpr std::string_view kPrefixes[] = {"", "bert."};

}  // namespace

Result<HfSource> HfSource::open(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
  }
  if (error) return fail(Code::kNotFound, "{}: {}", directory, error.message());
  if (paths.empty())
    return fail(Code::kNotFound, "{}: found no .safetensors file, expected the model's weights", directory);
  std::ranges::sort(paths);
  HfSource out;
  for (const auto& path : paths) {
    BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(path));
    out.files_.push_back(std::move(file));
  }
  for (const auto& file : out.files_) {
    for (const auto& tensor : file.tensors()) {
      if (!out.tensors_.emplace(tensor.name, Entry{&tensor}).second)
        return fail(Code::kCorrupt, "{}: found in two files", tensor.name);
    }
  }
  return out;
}

HfSource::Entry* HfSource::find(const std::string& name) {
  for (std::string_view prefix : kPrefixes) {
    const auto found = tensors_.find(std::string(prefix) + name);
    if (found != tensors_.end()) return &found->second;
  }
  return nullptr;
}

Result<const SafeTensor*> HfSource::take(const HfTensor& wanted) {
  Entry* entry = find(wanted.hf);
  if (entry == nullptr && wanted.optional) return nullptr;
  if (entry == nullptr) {
    return fail(Code::kCorrupt, "{}: found no such tensor, expected one of shape [{}]", wanted.hf,
                fmt::join(wanted.shape, ", "));
  }
  const SafeTensor& tensor = *entry->tensor;
  if (tensor.shape != wanted.shape) {
    return fail(Code::kCorrupt, "{}: found shape [{}], expected [{}]", wanted.hf,
                fmt::join(tensor.shape, ", "), fmt::join(wanted.shape, ", "));
  }
  if (tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16")
    return fail(Code::kUnsupported, "{}: found type {}, expected F32, F16 or BF16", wanted.hf, tensor.dtype);
  entry->taken = true;
  return &tensor;
}

void HfSource::ignore(std::string_view name) {
  if (Entry* entry = find(std::string(name))) entry->taken = true;
}

size_t HfSource::leave_out(std::string_view prefix) {
  size_t out = 0;
  for (auto& [name, entry] : tensors_) {
    std::string_view rest = name;
    if (rest.starts_with(kPrefixes[1])) rest.remove_prefix(kPrefixes[1].size());
    if (!rest.starts_with(prefix)) continue;
    entry.taken = true;
    ++out;
  }
  return out;
}

Status HfSource::finish() const {
  for (const auto& [name, entry] : tensors_) {
    // What old exports carry along follows from the config.
    if (entry.taken || name.ends_with("rotary_emb.inv_freq") || name.ends_with("embeddings.position_ids"))
      continue;
    return fail(Code::kUnsupported, "{}: found a tensor that this architecture does not use", name);
  }
  return {};
}

}  // namespace bantam::model
