#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <unordered_set>

#include "base/checked.h"

namespace bantam::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read and written in place, little-endian");

constexpr uint64_t kMaxKeyBytes = 65535;  // the specification's limit for keys; names of tensors get the same
constexpr uint64_t kMinPairBytes = 8 + 4 + 1;            // key length, type, the smallest value
constexpr uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;  // name length, dimensions, one of them, type, offset
constexpr uint64_t kDefaultAlignment = 32;
// Strings and named things take several times their bytes in memory; real files hold less than a million.
constexpr uint64_t kMaxStrings = uint64_t{1} << 25;
constexpr uint64_t kMaxNamed = uint64_t{1} << 20;

/// Reads forward through untrusted bytes. Every message names the file, the part being read and the byte.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  /// The part that later messages are about, such as "metadata 3 (general.name)".
  void enter(std::string where) { where_ = std::move(where); }
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  template <class... Args>
  std::unexpected<Error> error(Code code, fmt::format_string<Args...> text, Args&&... args) const {
    return fail(code, "{}: {}: {}", name_, where_, fmt::format(text, std::forward<Args>(args)...));
  }

  Result<std::span<const std::byte>> take(uint64_t count, uint64_t size, std::string_view field) {
    if (count > remaining() / size) {
      return error(Code::kCorrupt, "{}: found {} bytes left at byte {}, expected {} of {} bytes each", field,
                   remaining(), position_, count, size);
    }
    auto out = bytes_.subspan(position_, count * size);
    position_ += count * size;
    return out;
  }

  /// Counts the elements of arrays that take more memory than bytes in the file.
  Status spend(uint64_t elements) {
    spent_ += elements;
    if (spent_ <= kMaxStrings) return {};
    return error(Code::kLimit, "array: found {} strings and booleans so far, expected at most {}", spent_,
                 kMaxStrings);
  }

  template <class T>
  Result<T> number(std::string_view field) {
    BANTAM_ASSIGN(auto bytes, take(1, sizeof(T), field));
    T out;
    std::memcpy(&out, bytes.data(), sizeof(T));
    return out;
  }

  Result<std::string_view> string(std::string_view field, uint64_t limit = UINT64_MAX) {
    BANTAM_ASSIGN(uint64_t length, number<uint64_t>(field));
    if (length > limit) {
      return error(Code::kCorrupt, "{}: found a length of {} bytes, expected at most {}", field, length,
                   limit);
    }
    BANTAM_ASSIGN(auto bytes, take(length, 1, field));
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::string where_ = "header";
  uint64_t position_ = 0, spent_ = 0;
};

template <class T>
Result<T> read_scalar(Reader& in) {
  if constexpr (std::is_same_v<T, bool>) {
    BANTAM_ASSIGN(auto byte, in.number<uint8_t>("boolean"));
    if (byte > 1) return in.error(Code::kCorrupt, "boolean: found {}, expected 0 or 1", byte);
    return byte == 1;
  } else if constexpr (std::is_same_v<T, std::string>) {
    BANTAM_ASSIGN(auto text, in.string("string"));
    return std::string(text);
  } else {
    return in.number<T>("value");
  }
}

template <class T>
Result<GgufArray> read_array(Reader& in, uint64_t count) {
  std::vector<T> out;
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
    constexpr uint64_t kLeast = std::is_same_v<T, bool> ? 1 : 8;
    if (count > in.remaining() / kLeast) {
      return in.error(Code::kCorrupt, "array: found {} bytes left, expected {} elements of at least {} bytes",
                      in.remaining(), count, kLeast);
    }
    BANTAM_TRY(in.spend(count));
    out.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      BANTAM_ASSIGN(T value, read_scalar<T>(in));
      out.push_back(std::move(value));
    }
  } else {
    BANTAM_ASSIGN(auto bytes, in.take(count, sizeof(T), "array"));
    out.resize(count);
    if (count > 0) std::memcpy(out.data(), bytes.data(), bytes.size());
  }
  return GgufArray(std::move(out));
}

/// The element read by `read.operator()<T>()`, T chosen by the file's type number.
template <class Out, class F>
Result<Out> by_type(Reader& in, uint32_t type, F read) {
  switch (type) {
    case 0:
      return read.template operator()<uint8_t>();
    case 1:
      return read.template operator()<int8_t>();
    case 2:
      return read.template operator()<uint16_t>();
    case 3:
      return read.template operator()<int16_t>();
    case 4:
      return read.template operator()<uint32_t>();
    case 5:
      return read.template operator()<int32_t>();
    case 6:
      return read.template operator()<float>();
    case 7:
      return read.template operator()<bool>();
    case 8:
      return read.template operator()<std::string>();
    case 10:
      return read.template operator()<uint64_t>();
    case 11:
      return read.template operator()<int64_t>();
    case 12:
      return read.template operator()<double>();
    default:
      return in.error(Code::kCorrupt, "value type: found {}, expected 0 to 12", type);
  }
}

Result<GgufValue> read_value(Reader& in) {
  BANTAM_ASSIGN(uint32_t type, in.number<uint32_t>("value type"));
  if (type != kGgufArrayType) {
    return by_type<GgufValue>(in, type, [&]<class T>() -> Result<GgufValue> {
      BANTAM_ASSIGN(T value, read_scalar<T>(in));
      return GgufValue(std::in_place_type<T>, std::move(value));
    });
  }
  BANTAM_ASSIGN(uint32_t element, in.number<uint32_t>("array element type"));
  BANTAM_ASSIGN(uint64_t count, in.number<uint64_t>("array length"));
  if (element == kGgufArrayType)
    return in.error(Code::kUnsupported, "found an array of arrays, which this version does not read");
  auto array = by_type<GgufArray>(in, element, [&]<class T>() { return read_array<T>(in, count); });
  if (!array) return std::unexpected(std::move(array).error());
  return GgufValue(std::move(*array));
}

struct Header {
  uint64_t tensors = 0;
  uint64_t pairs = 0;
};

Result<Header> read_header(Reader& in) {
  BANTAM_ASSIGN(auto magic, in.take(4, 1, "magic"));
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
    return in.error(Code::kCorrupt, "magic: found bytes {:02x} {:02x} {:02x} {:02x}, expected \"GGUF\"",
                    std::to_integer<int>(magic[0]), std::to_integer<int>(magic[1]),
                    std::to_integer<int>(magic[2]), std::to_integer<int>(magic[3]));
  }
  BANTAM_ASSIGN(uint32_t version, in.number<uint32_t>("version"));
  if (version != 0 && (version & 0xffff) == 0) {
    return in.error(Code::kUnsupported,
                    "version: found {:#010x}, a big-endian file; expected a little-endian one", version);
  }
  if (version != 2 && version != 3) {
    return in.error(Code::kUnsupported, "version: found {}, expected 2 or 3", version);
  }
  Header out;
  BANTAM_ASSIGN(out.tensors, in.number<uint64_t>("tensor count"));
  BANTAM_ASSIGN(out.pairs, in.number<uint64_t>("metadata count"));
  if (out.tensors > in.remaining() / kMinTensorBytes) {
    return in.error(Code::kCorrupt, "tensor count: found {}, expected at most {} in the {} bytes that follow",
                    out.tensors, in.remaining() / kMinTensorBytes, in.remaining());
  }
  if (out.pairs > in.remaining() / kMinPairBytes) {
    return in.error(Code::kCorrupt,
                    "metadata count: found {}, expected at most {} in the {} bytes that follow", out.pairs,
                    in.remaining() / kMinPairBytes, in.remaining());
  }
  if (out.tensors > kMaxNamed || out.pairs > kMaxNamed) {
    return in.error(Code::kLimit,
                    "counts: found {} tensors and {} metadata keys, expected at most {} of each", out.tensors,
                    out.pairs, kMaxNamed);
  }
  return out;
}

Result<std::vector<std::pair<std::string, GgufValue>>> read_metadata(Reader& in, uint64_t count) {
  std::vector<std::pair<std::string, GgufValue>> out;
  std::unordered_set<std::string_view> seen;  // views of the file's bytes
  for (uint64_t i = 0; i < count; ++i) {
    in.enter(fmt::format("metadata {}", i));
    BANTAM_ASSIGN(auto key, in.string("key", kMaxKeyBytes));
    if (key.empty()) return in.error(Code::kCorrupt, "key: found an empty one, expected a name");
    in.enter(fmt::format("metadata {} ({})", i, key));
    if (!seen.insert(key).second) return in.error(Code::kCorrupt, "key: found a second time, expected once");
    BANTAM_ASSIGN(auto value, read_value(in));
    out.emplace_back(key, std::move(value));
  }
  return out;
}

/// The tensor's description; its offset is still relative to the data section.
Result<GgufTensor> read_tensor_info(Reader& in, uint64_t index) {
  GgufTensor out;
  in.enter(fmt::format("tensor {}", index));
  BANTAM_ASSIGN(auto name, in.string("name", kMaxKeyBytes));
  out.name = name;
  in.enter(fmt::format("tensor {} ({})", index, name));
  BANTAM_ASSIGN(uint32_t dimensions, in.number<uint32_t>("dimensions"));
  if (dimensions < 1 || dimensions > 4) {
    return in.error(Code::kCorrupt, "dimensions: found {}, expected 1 to 4", dimensions);
  }
  uint64_t elements = 1;
  for (uint32_t d = 0; d < dimensions; ++d) {
    BANTAM_ASSIGN(uint64_t size, in.number<uint64_t>("shape"));
    auto product = checked_mul(elements, size);
    if (size == 0 || !product) {
      return in.error(Code::kCorrupt,
                      "shape: found {} in dimension {}, expected 1 or more and a product below 2^64", size,
                      d);
    }
    elements = *product;
    out.shape.push_back(size);
  }
  BANTAM_ASSIGN(uint32_t type, in.number<uint32_t>("type"));
  out.type = static_cast<GgmlType>(type);
  const auto* traits = ggml_type_traits(out.type);
  if (traits == nullptr) {
    return in.error(Code::kUnsupported, "type: found {}, expected one of {}", ggml_type_name(type),
                    ggml_type_names());
  }
  if (out.shape[0] % traits->block_size != 0) {
    return in.error(Code::kCorrupt, "shape: found {} in dimension 0, expected a multiple of {} for {}",
                    out.shape[0], traits->block_size, traits->name);
  }
  auto bytes = checked_mul<uint64_t>(elements / traits->block_size, traits->block_bytes);
  if (!bytes) return in.error(Code::kCorrupt, "shape: found {} elements, more bytes than 2^64", elements);
  out.bytes = *bytes;
  BANTAM_ASSIGN(out.offset, in.number<uint64_t>("offset"));
  return out;
}

/// Turns offsets into positions in the file and checks that each tensor's data lies there, aligned.
Status place_tensors(Reader& in, std::vector<GgufTensor>& tensors, uint64_t alignment, uint64_t file_bytes) {
  auto start = checked_align(in.position(), alignment);
  for (uint64_t i = 0; i < tensors.size(); ++i) {
    auto& tensor = tensors[i];
    in.enter(fmt::format("tensor {} ({})", i, tensor.name));
    if (tensor.offset % alignment != 0) {
      return in.error(Code::kCorrupt, "offset: found {}, expected a multiple of {}", tensor.offset,
                      alignment);
    }
    auto begin = start ? checked_add(*start, tensor.offset) : std::nullopt;
    auto end = begin ? checked_add(*begin, tensor.bytes) : std::nullopt;
    if (!end || *end > file_bytes) {
      return in.error(Code::kCorrupt,
                      "data: found {} bytes at offset {} of the data section, expected them within the {} "
                      "bytes of the file",
                      tensor.bytes, tensor.offset, file_bytes);
    }
    tensor.offset = *begin;
  }
  return {};
}

Status check_overlap(Reader& in, const std::vector<GgufTensor>& tensors) {
  std::vector<const GgufTensor*> order;
  order.reserve(tensors.size());
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, &GgufTensor::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    const auto& before = *order[i - 1];
    if (order[i]->offset < before.offset + before.bytes) {
      in.enter(fmt::format("tensor {}", order[i]->name));
      return in.error(Code::kCorrupt,
                      "data: found at byte {}, inside tensor {} ({} to {}); expected no overlap",
                      order[i]->offset, before.name, before.offset, before.offset + before.bytes);
    }
  }
  return {};
}

}  // namespace

uint64_t GgufTensor::elements() const {
  uint64_t out = 1;
  for (uint64_t size : shape) out *= size;
  return out;
}

Result<GgufFile> GgufFile::open(const std::string& path, const Place& place) {
  BANTAM_ASSIGN(auto map, MappedFile::open(place ? place(path) : path));
  BANTAM_ASSIGN(auto out, parse(map.bytes(), path));
  out.maps_.push_back(std::move(map));
  BANTAM_TRY(out.add_shards(place));
  return out;
}

uint64_t GgufFile::file_bytes() const {
  uint64_t out = 0;
  for (const auto& bytes : bytes_) out += bytes.size();
  return out;
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string name) {
  GgufFile out;
  out.path_ = std::move(name);
  out.bytes_ = {bytes};
  Reader in(bytes, out.path_);
  BANTAM_ASSIGN(auto header, read_header(in));
  BANTAM_ASSIGN(out.metadata_, read_metadata(in, header.pairs));
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < header.tensors; ++i) {
    BANTAM_ASSIGN(auto tensor, read_tensor_info(in, i));
    if (!names.insert(tensor.name).second) {
      return in.error(Code::kCorrupt, "name: found a second time, expected once");
    }
    out.tensors_.push_back(std::move(tensor));
  }
  BANTAM_ASSIGN(uint64_t alignment, out.get_uint_or("general.alignment", kDefaultAlignment));
  if (!std::has_single_bit(alignment)) {
    return fail(Code::kCorrupt, "{}: general.alignment: found {}, expected a power of two", out.path_,
                alignment);
  }
  BANTAM_TRY(place_tensors(in, out.tensors_, alignment, bytes.size()));
  BANTAM_TRY(check_overlap(in, out.tensors_));
  return out;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  auto found = std::ranges::find(metadata_, key, &std::pair<std::string, GgufValue>::first);
  return found == metadata_.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  auto found = std::ranges::find(tensors_, name, &GgufTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace bantam::formats
