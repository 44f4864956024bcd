#pragma once
// safetensors: 8-byte little-endian header length, JSON header, tensor bytes.
// https://github.com/huggingface/safetensors Used for Hugging Face weights and for our own training
// checkpoints.

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace bantam::formats {

struct SafeTensor {
  std::string name;
  std::string dtype;            // "F32", "F16", "BF16", "I64", …, as in the header
  std::vector<uint64_t> shape;  // slowest-varying dimension first; empty for a scalar
  std::span<const std::byte> data;
};

/// A parsed file; open() maps it and owns the map, parse() borrows the caller's bytes.
class SafeTensorsFile {
 public:
  /// Errors: kCorrupt with the tensor's name for overlapping, unordered, out-of-range or mis-sized data,
  /// gaps, a header over 100 MB, duplicate names or unknown dtypes.
  static Result<SafeTensorsFile> open(const std::string& path);
  static Result<SafeTensorsFile> parse(std::span<const std::byte> bytes, std::string name = "safetensors");

  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  const SafeTensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }  // the "__metadata__" object

 private:
  std::optional<MappedFile> map_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a file atomically. Errors: kInvalidArgument (size does not fit dtype and shape), kNoSpace, kIo.
Status write_safetensors(const std::string& path, const std::vector<SafeTensor>& tensors,
                         const std::map<std::string, std::string>& metadata = {});

/// What is to be written of a tensor.
struct SafeTensorShape {
  std::string name, dtype;
  std::vector<uint64_t> shape;
};
/// The same for tensors that are made one after the other: `data(i)` gives the bytes of tensors[i], which may
/// go once it is called again. Tensors lie in the given order. Errors: as above, and those of `data`.
Status write_safetensors(const std::string& path, const std::vector<SafeTensorShape>& tensors,
                         const std::map<std::string, std::string>& metadata,
                         const std::function<Result<std::span<const std::byte>>(size_t)>& data);

}  // namespace bantam::formats
