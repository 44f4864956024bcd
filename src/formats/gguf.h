#pragma once
// GGUF version 3 (and 2, read only): https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
// The parser takes hostile bytes: every count and offset is checked before it is used, multiplied or
// allocated for.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace bantam::formats {

/// Tensor element types by their number in the file. Those this version can compute with are named.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35
};

/// `block_size` elements are stored in `block_bytes` bytes.
struct GgmlTypeTraits {
  std::string_view name;
  uint32_t block_size;
  uint32_t block_bytes;
};
/// Traits of a type this version reads, or nullptr.
const GgmlTypeTraits* ggml_type_traits(GgmlType type);
/// "Q4_0" for a type we read; the name of a known type we do not read; "type 77" otherwise.
std::string ggml_type_name(uint32_t type);
/// "F32, F16, …", for messages.
std::string ggml_type_names();
/// The type named "f16", "Q8_0", … (any case). Errors: kInvalidArgument listing the names.
Result<GgmlType> ggml_type_from_name(std::string_view name);

using GgufArray =
    std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                 std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
                 std::vector<std::string>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>>;
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, uint64_t, int64_t, double, GgufArray>;
/// An array's type number in the file. That of other values: their index in GgufValue, from here on one more.
inline constexpr uint32_t kGgufArrayType = 9;

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<uint64_t> shape;  // fastest-varying dimension first, 1 to 4 of them, none zero
  uint64_t offset = 0;          // from the start of the file
  uint64_t bytes = 0;
  uint32_t shard = 0;  // which of the files of a split model holds it
  uint64_t elements() const;
};

/// A parsed file, or all files of a model that is split ("NAME-00001-of-00003.gguf" with the split.* keys).
/// open() maps them and owns the maps; parse() only looks at the caller's bytes, which must outlive the
/// object.
class GgufFile {
 public:
  /// `path` is the first file of a split model; metadata are that one's. Errors: those of MappedFile::open;
  /// kCorrupt naming the file, the field, what was found and expected; kUnsupported for a version, endianness
  /// or tensor type we do not read (the message names it); kInvalidArgument for a later file of a split
  /// model.
  static Result<GgufFile> open(const std::string& path) { return open(path, nullptr); }
  /// The same of files that do not have their names yet: `place` says where the one of a name lies.
  using Place = std::function<std::string(const std::string& name)>;
  static Result<GgufFile> open(const std::string& path, const Place& place);
  static Result<GgufFile> parse(std::span<const std::byte> bytes, std::string name = "gguf");

  const std::string& path() const { return path_; }
  /// Of all files.
  uint64_t file_bytes() const;
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;
  std::span<const std::byte> data(const GgufTensor& tensor) const {
    return bytes_[tensor.shard].subspan(tensor.offset, tensor.bytes);
  }
  /// Gives back the memory of these bytes of a file that open() mapped; they are read again when needed. Does
  /// nothing to the caller's own bytes, which nobody could read again.
  void forget(std::span<const std::byte> bytes) const {
    if (!maps_.empty()) forget_pages(bytes);
  }

  /// Typed metadata. A missing key is kNotFound, a key of another type kCorrupt (both name file and key).
  /// Integers of any width and sign are taken when the value fits; floats from f32 or f64.
  Result<uint64_t> get_uint(std::string_view key) const;
  Result<double> get_float(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string> get_string(std::string_view key) const;
  Result<std::vector<std::string>> get_strings(std::string_view key) const;
  Result<std::vector<float>> get_floats(std::string_view key) const;
  Result<std::vector<int64_t>> get_ints(std::string_view key) const;
  /// The value, or `fallback` where the key is missing; a key of another type is still an error.
  Result<uint64_t> get_uint_or(std::string_view key, uint64_t fallback) const;
  Result<double> get_float_or(std::string_view key, double fallback) const;
  Result<bool> get_bool_or(std::string_view key, bool fallback) const;
  Result<std::string> get_string_or(std::string_view key, std::string fallback) const;

 private:
  Status add_shards(const Place& place);

  std::string path_;
  std::vector<MappedFile> maps_;                   // of open()
  std::vector<std::span<const std::byte>> bytes_;  // of each file
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<GgufTensor> tensors_;
};

/// Collects metadata and tensors, then writes version 3 in one go, atomically.
class GgufWriter {
 public:
  /// Replaces an earlier value of the same key; keys keep their first order.
  void set(std::string key, GgufValue value);
  void remove(std::string_view key);
  const GgufValue* find(std::string_view key) const;
  /// `data` is copied; its size must be what type and shape say (shape: fastest dimension first), else
  /// kInvalidArgument.
  Status add_tensor(std::string name, GgmlType type, std::vector<uint64_t> shape,
                    std::span<const std::byte> data);
  /// The same without a copy: `data` must live until the last write().
  Status borrow_tensor(std::string name, GgmlType type, std::vector<uint64_t> shape,
                       std::span<const std::byte> data);
  /// Copies every metadata pair of `file` but split.* (not the tensors).
  void copy_metadata(const GgufFile& file);
  /// The alignment is 32 (a copied general.alignment is left out). `check`, where there is one, is given the
  /// file as it reads back, before that takes its name. Errors: kNoSpace, kIo, those of `check`; the old
  /// file, if any, is then untouched.
  Status write(const std::string& path, const std::function<Status(const GgufFile&)>& check = {}) const;

 private:
  struct Tensor {
    std::string name;
    GgmlType type;
    std::vector<uint64_t> shape;
    std::vector<std::byte> owned;
    std::span<const std::byte> borrowed;  // where nothing is owned
    std::span<const std::byte> data() const { return owned.empty() ? borrowed : owned; }
  };
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace bantam::formats
