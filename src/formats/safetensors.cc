#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/checked.h"
#include "base/utf8.h"
#include "formats/json.h"

namespace bantam::formats {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr uint64_t kLengthBytes = 8;
constexpr size_t kMaxDepth = 3;  // header, tensor, shape
constexpr std::string_view kMetadata = "__metadata__";

struct Dtype {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<Dtype, 16> kDtypes = {{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"F8_E4M3", 1},
                                            {"F8_E5M2", 1},
                                            {"F8_E8M0", 1},
                                            {"U16", 2},
                                            {"I16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"U32", 4},
                                            {"I32", 4},
                                            {"F32", 4},
                                            {"U64", 8},
                                            {"I64", 8},
                                            {"F64", 8}}};

const Dtype* find_dtype(std::string_view name) {
  auto found = std::ranges::find(kDtypes, name, &Dtype::name);
  return found == kDtypes.end() ? nullptr : &*found;
}

/// Bytes of a tensor; nullopt on overflow.
std::optional<uint64_t> byte_size(const Dtype& dtype, const std::vector<uint64_t>& shape) {
  std::optional<uint64_t> out = dtype.bytes;
  for (uint64_t size : shape) out = out ? checked_mul(*out, size) : out;
  return out;
}

/// A tensor whose data is not placed yet: begin and end count from the end of the header.
struct Entry {
  SafeTensor tensor;
  uint64_t begin = 0, end = 0;
};

Result<std::vector<uint64_t>> unsigned_array(const json& object, const char* key, const std::string& where) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_array()) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected an array of integers", where, key,
                found == object.end() ? "none" : found->type_name());
  }
  std::vector<uint64_t> out;
  for (const auto& item : *found) {
    if (!item.is_number_unsigned()) {
      return fail(Code::kCorrupt, "{}: {}: found {}, expected non-negative integers below 2^64", where, key,
                  item.dump());
    }
    out.push_back(item.get<uint64_t>());
  }
  return out;
}

Result<Entry> parse_entry(const std::string& name, const json& value, const std::string& file,
                          uint64_t data_bytes) {
  const std::string where = fmt::format("{}: tensor {}", file, name);
  if (!value.is_object())
    return fail(Code::kCorrupt, "{}: found {}, expected an object", where, value.type_name());
  Entry out;
  out.tensor.name = name;
  auto dtype = value.find("dtype");
  const Dtype* known =
      dtype != value.end() && dtype->is_string() ? find_dtype(dtype->get_ref<const std::string&>()) : nullptr;
  if (known == nullptr) {
    return fail(Code::kCorrupt, "{}: dtype: found {}, expected F32, F16, BF16, I64 or another of the format",
                where, dtype == value.end() ? "none" : dtype->dump());
  }
  out.tensor.dtype = known->name;
  BANTAM_ASSIGN(out.tensor.shape, unsigned_array(value, "shape", where));
  BANTAM_ASSIGN(auto offsets, unsigned_array(value, "data_offsets", where));
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    return fail(Code::kCorrupt,
                "{}: data_offsets: found {}, expected a begin and an end within the {} bytes of data", where,
                value["data_offsets"].dump(), data_bytes);
  }
  out.begin = offsets[0];
  out.end = offsets[1];
  auto expected = byte_size(*known, out.tensor.shape);
  if (!expected || *expected != out.end - out.begin) {
    return fail(Code::kCorrupt, "{}: data_offsets: found {} bytes, expected {} for shape {} of {}", where,
                out.end - out.begin, expected ? fmt::format("{}", *expected) : "more than 2^64",
                value["shape"].dump(), known->name);
  }
  return out;
}

Result<std::map<std::string, std::string>> parse_metadata(const json& value, const std::string& file) {
  std::map<std::string, std::string> out;
  if (!value.is_object()) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected an object of strings", file, kMetadata,
                value.type_name());
  }
  for (const auto& [key, item] : value.items()) {
    if (!item.is_string()) {
      return fail(Code::kCorrupt, "{}: {}: {}: found {}, expected a string", file, kMetadata, key,
                  item.type_name());
    }
    out.emplace(key, item.get<std::string>());
  }
  return out;
}

/// Sorts by position and checks that the tensors cover the data without gap or overlap.
Status check_cover(std::vector<Entry>& entries, const std::string& file, uint64_t data_bytes) {
  std::ranges::stable_sort(entries, [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t at = 0;
  for (const auto& entry : entries) {
    if (entry.begin != at) {
      return fail(Code::kCorrupt, "{}: tensor {}: data_offsets: found data from {}, expected from {} ({})",
                  file, entry.tensor.name, entry.begin, at,
                  entry.begin < at ? "it overlaps the one before" : "there is a gap");
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    return fail(Code::kCorrupt, "{}: found {} bytes of data, expected {} as the tensors' offsets say", file,
                data_bytes, at);
  }
  return {};
}

}  // namespace

Result<SafeTensorsFile> SafeTensorsFile::open(const std::string& path) {
  BANTAM_ASSIGN(auto map, MappedFile::open(path));
  BANTAM_ASSIGN(auto out, parse(map.bytes(), path));
  out.map_ = std::move(map);
  return out;
}

Result<SafeTensorsFile> SafeTensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    return fail(Code::kCorrupt, "{}: header length: found {} bytes, expected {}", name, bytes.size(),
                kLengthBytes);
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const uint64_t rest = bytes.size() - kLengthBytes;
  if (length > rest || length > kMaxHeaderBytes) {
    return fail(Code::kCorrupt, "{}: header length: found {}, expected at most {}", name, length,
                std::min(rest, kMaxHeaderBytes));
  }
  auto data = bytes.subspan(kLengthBytes + length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  BANTAM_ASSIGN(const json header, parse_json(text, name + ": header", kMaxDepth));
  if (!header.is_object()) {
    return fail(Code::kCorrupt, "{}: header: found {}, expected a JSON object", name, header.type_name());
  }
  SafeTensorsFile out;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadata) {
      BANTAM_ASSIGN(out.metadata_, parse_metadata(value, name));
      continue;
    }
    BANTAM_ASSIGN(auto entry, parse_entry(key, value, name, data.size()));
    entries.push_back(std::move(entry));
  }
  BANTAM_TRY(check_cover(entries, name, data.size()));
  for (auto& entry : entries) {
    entry.tensor.data = data.subspan(entry.begin, entry.end - entry.begin);
    out.tensors_.push_back(std::move(entry.tensor));
  }
  return out;
}

const SafeTensor* SafeTensorsFile::find(std::string_view name) const {
  auto found = std::ranges::find(tensors_, name, &SafeTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

Status write_safetensors(const std::string& path, const std::vector<SafeTensorShape>& tensors,
                         const std::map<std::string, std::string>& metadata,
                         const std::function<Result<std::span<const std::byte>>(size_t)>& data) {
  json header = json::object();
  for (const auto& [key, value] : metadata) {
    if (find_broken_utf8(key + value) != std::string_view::npos) {
      return fail(Code::kInvalidArgument, "{}: {}: {}: found broken UTF-8, expected text", path, kMetadata,
                  key);
    }
    header[std::string(kMetadata)][key] = value;
  }
  std::set<std::string_view> names = {kMetadata};
  std::vector<uint64_t> sizes;
  uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    const auto* dtype = find_dtype(tensor.dtype);
    const auto bytes = dtype == nullptr ? std::nullopt : byte_size(*dtype, tensor.shape);
    if (!bytes) {
      return fail(Code::kInvalidArgument,
                  "{}: tensor {}: found dtype {}, expected one of safetensors' own and a size "
                  "that fits",
                  path, tensor.name, tensor.dtype);
    }
    if (!names.insert(tensor.name).second || find_broken_utf8(tensor.name) != std::string_view::npos) {
      return fail(Code::kInvalidArgument,
                  "{}: tensor {}: found that name reserved, a second time or not UTF-8", path, tensor.name);
    }
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
    sizes.push_back(*bytes);
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return fail(Code::kInvalidArgument, "{}: header: found {} bytes, expected at most {}", path, text.size(),
                kMaxHeaderBytes);
  }
  const uint64_t length = text.size();
  BANTAM_ASSIGN(auto file, AtomicFile::create(path));
  BANTAM_TRY(file.write(std::as_bytes(std::span(&length, 1))));
  BANTAM_TRY(file.write(text));
  for (size_t i = 0; i < tensors.size(); ++i) {
    BANTAM_ASSIGN(const auto bytes, data(i));
    if (bytes.size() != sizes[i]) {
      return fail(Code::kInvalidArgument,
                  "{}: tensor {}: found {} bytes, expected what its shape and dtype {} say", path,
                  tensors[i].name, bytes.size(), tensors[i].dtype);
    }
    BANTAM_TRY(file.write(bytes));
  }
  return file.commit();
}

Status write_safetensors(const std::string& path, const std::vector<SafeTensor>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const SafeTensor*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  // Wide elements first: then each is aligned to its size.
  const auto width = [](const SafeTensor* tensor) {
    const auto* dtype = find_dtype(tensor->dtype);
    return dtype == nullptr ? 0 : dtype->bytes;
  };
  std::ranges::stable_sort(order, std::greater<>(), width);
  std::vector<SafeTensorShape> shapes;
  for (const auto* tensor : order) shapes.push_back({tensor->name, tensor->dtype, tensor->shape});
  return write_safetensors(path, shapes, metadata,
                           [&](size_t i) -> Result<std::span<const std::byte>> { return order[i]->data; });
}

}  // namespace bantam::formats
