// Models that are split into several files (llama.cpp's gguf-split): each is a GGUF of its own; the first
// holds the metadata, and all have split.no, split.count and split.tensors.count.

#include <unordered_set>

#include "formats/gguf.h"

namespace bantam::formats {
namespace {

constexpr uint64_t kMostShards = 1024;

std::string shard_suffix(uint64_t index, uint64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", index + 1, count);
}

/// What comes before "-00001-of-0000N.gguf". Errors: kCorrupt for another name.
Result<std::string> stem_of(const std::string& path, uint64_t index, uint64_t count) {
  const std::string suffix = shard_suffix(index, count);
  if (path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  return fail(Code::kCorrupt,
              "{}: split.no and split.count: found file {} of {}, expected a name that ends in {}", path,
              index + 1, count, suffix);
}

Status check_number(const GgufFile& file, std::string_view key, uint64_t expected) {
  BANTAM_ASSIGN(uint64_t found, file.get_uint(key));
  if (found == expected) return {};
  return fail(Code::kCorrupt, "{}: {}: found {}, expected {}", file.path(), key, found, expected);
}

}  // namespace

/// Takes in the files that follow this one, the first, where it is one of several.
Status GgufFile::add_shards(const Place& place) {
  BANTAM_ASSIGN(uint64_t count, get_uint_or("split.count", 0));
  if (count <= 1) return {};
  if (count > kMostShards) {
    return fail(Code::kLimit, "{}: split.count: found {}, expected at most {}", path_, count, kMostShards);
  }
  BANTAM_ASSIGN(uint64_t number, get_uint("split.no"));
  if (number >= count) {
    return fail(Code::kCorrupt, "{}: split.no: found {}, expected below {}", path_, number, count);
  }
  BANTAM_ASSIGN(const std::string stem, stem_of(path_, number, count));
  if (number != 0) {
    return fail(Code::kInvalidArgument, "{}: found file {} of a model in {} files, expected the first: {}",
                path_, number + 1, count, stem + shard_suffix(0, count));
  }
  std::unordered_set<std::string> names;
  for (const auto& tensor : tensors_) names.insert(tensor.name);
  for (uint64_t i = 1; i < count; ++i) {
    const std::string path = stem + shard_suffix(i, count);
    BANTAM_ASSIGN(auto map, MappedFile::open(place ? place(path) : path));
    BANTAM_ASSIGN(auto shard, parse(map.bytes(), path));
    BANTAM_TRY(check_number(shard, "split.no", i));
    BANTAM_TRY(check_number(shard, "split.count", count));
    for (auto& tensor : shard.tensors_) {
      if (!names.insert(tensor.name).second) {
        return fail(Code::kCorrupt, "{}: tensor {}: found in an earlier file too, expected once", path,
                    tensor.name);
      }
      tensor.shard = static_cast<uint32_t>(i);
      tensors_.push_back(std::move(tensor));
    }
    bytes_.push_back(map.bytes());
    maps_.push_back(std::move(map));
  }
  BANTAM_ASSIGN(uint64_t total, get_uint_or("split.tensors.count", tensors_.size()));
  if (total != tensors_.size()) {
    return fail(Code::kCorrupt, "{}: split.tensors.count: found {}, expected the {} of all files", path_,
                total, tensors_.size());
  }
  return {};
}

}  // namespace bantam::formats
