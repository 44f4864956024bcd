#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "formats/gguf.h"

namespace bantam::formats {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;    // the default, so the key itself need not be written
constexpr size_t kMaxTensorName = 63;  // llama.cpp refuses longer ones (GGML_MAX_NAME)

template <class T>
void put(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    put(out, static_cast<uint64_t>(value.size()));
    out += value;
  } else {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
  }
}

/// The file's type number of alternative `index`; "array" takes 9, between string and u64.
uint32_t type_number(size_t index) {
  return static_cast<uint32_t>(index < kGgufArrayType ? index : index + 1);
}

void put_value(std::string& out, const GgufValue& value) {
  const auto* array = std::get_if<GgufArray>(&value);
  if (array == nullptr) {
    put(out, type_number(value.index()));
    std::visit(
        [&](const auto& v) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(v)>, GgufArray>) put(out, v);
        },
        value);
    return;
  }
  put(out, kGgufArrayType);
  put(out, type_number(array->index()));
  std::visit(
      [&](const auto& items) {
        put(out, static_cast<uint64_t>(items.size()));
        for (const typename std::decay_t<decltype(items)>::value_type& item : items) put(out, item);
      },
      *array);
}

uint64_t padding(uint64_t position) { return (kAlignment - position % kAlignment) % kAlignment; }

}  // namespace

void GgufWriter::set(std::string key, GgufValue value) {
  auto found = std::ranges::find(metadata_, key, &std::pair<std::string, GgufValue>::first);
  if (found != metadata_.end()) {
    found->second = std::move(value);
  } else {
    metadata_.emplace_back(std::move(key), std::move(value));
  }
}

void GgufWriter::remove(std::string_view key) {
  std::erase_if(metadata_, [&](const auto& pair) { return pair.first == key; });
}

const GgufValue* GgufWriter::find(std::string_view key) const {
  auto found = std::ranges::find(metadata_, key, &std::pair<std::string, GgufValue>::first);
  return found == metadata_.end() ? nullptr : &found->second;
}

Status GgufWriter::add_tensor(std::string name, GgmlType type, std::vector<uint64_t> shape,
                              std::span<const std::byte> data) {
  BANTAM_TRY(borrow_tensor(std::move(name), type, std::move(shape), data));
  tensors_.back().owned.assign(data.begin(), data.end());
  return {};
}

Status GgufWriter::borrow_tensor(std::string name, GgmlType type, std::vector<uint64_t> shape,
                                 std::span<const std::byte> data) {
  const auto* traits = ggml_type_traits(type);
  if (traits == nullptr) {
    return fail(Code::kInvalidArgument, "tensor {}: type: found {}, expected one this version writes", name,
                ggml_type_name(static_cast<uint32_t>(type)));
  }
  if (name.empty() || name.size() > kMaxTensorName) {
    return fail(Code::kInvalidArgument, "tensor {}: name: found {} bytes, expected 1 to {}", name,
                name.size(), kMaxTensorName);
  }
  if (std::ranges::find(tensors_, name, &Tensor::name) != tensors_.end()) {
    return fail(Code::kInvalidArgument, "tensor {}: name: found a second time, expected once", name);
  }
  if (shape.empty() || shape.size() > 4 || shape[0] % traits->block_size != 0) {
    return fail(Code::kInvalidArgument,
                "tensor {}: shape: found {} dimensions, the first {}; expected 1 to 4 and a multiple of {}",
                name, shape.size(), shape.empty() ? 0 : shape[0], traits->block_size);
  }
  std::optional<uint64_t> bytes = traits->block_bytes;
  for (size_t d = 0; d < shape.size() && bytes; ++d)
    bytes = checked_mul(*bytes, d == 0 ? shape[0] / traits->block_size : shape[d]);
  if (!bytes || *bytes == 0 || *bytes != data.size()) {
    return fail(Code::kInvalidArgument,
                "tensor {}: data: found {} bytes, expected {} for its shape and type {}", name, data.size(),
                bytes.value_or(0), traits->name);
  }
  tensors_.push_back({std::move(name), type, std::move(shape), {}, data});
  return {};
}

void GgufWriter::copy_metadata(const GgufFile& file) {
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with("split.")) set(key, value);
  }
}

Status GgufWriter::write(const std::string& path,
                         const std::function<Status(const GgufFile&)>& check) const {
  constexpr std::string_view kAlignmentKey = "general.alignment";  // may have come in by copy_metadata
  std::string head = "GGUF";
  put(head, kVersion);
  put(head, static_cast<uint64_t>(tensors_.size()));
  put(head, static_cast<uint64_t>(metadata_.size() - (find(kAlignmentKey) == nullptr ? 0 : 1)));
  for (const auto& [key, value] : metadata_) {
    if (key == kAlignmentKey) continue;
    put(head, key);
    put_value(head, value);
  }
  uint64_t offset = 0;
  for (const auto& tensor : tensors_) {
    put(head, tensor.name);
    put(head, static_cast<uint32_t>(tensor.shape.size()));
    for (uint64_t size : tensor.shape) put(head, size);
    put(head, static_cast<uint32_t>(tensor.type));
    put(head, offset);
    offset += tensor.data().size() + padding(tensor.data().size());
  }
  head.append(padding(head.size()), '\0');
  BANTAM_ASSIGN(auto file, AtomicFile::create(path));
  BANTAM_TRY(file.write(head));
  for (const auto& tensor : tensors_) {
    BANTAM_TRY(file.write(tensor.data()));
    BANTAM_TRY(file.write(std::string(padding(tensor.data().size()), '\0')));
  }
  if (check) {
    BANTAM_TRY(file.sync());
    BANTAM_ASSIGN(const auto map, MappedFile::open(file.partial()));
    BANTAM_ASSIGN(const auto written, GgufFile::parse(map.bytes(), path));  // `path` in messages
    BANTAM_TRY(check(written));
  }
  return file.commit();
}

}  // namespace bantam::formats
