#pragma once
// Names of models: "owner/name", "owner/name:q4_k_m", "owner/name:folder/file.gguf". They become paths and
// parts of URLs, so that nothing that could leave the store's folder is one (CVE-2024-37032).

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::store {

struct ModelName {
  std::string owner, name;
  std::string selector;  // a quantisation or a file; empty: the caller's default

  std::string folder() const { return owner + "/" + name; }
  std::string text() const { return selector.empty() ? folder() : folder() + ":" + selector; }
};

/// Errors: kInvalidArgument for anything but letters, digits, '.', '_' and '-' (first a letter or a digit) in
/// owner and name, and for a selector that check_file_path refuses. "latest" selects nothing, as elsewhere.
Result<ModelName> parse_name(std::string_view text);

inline constexpr int kMostPathParts = 8;
/// A path inside a model's folder: parts between '/' that are not empty, begin with no '.', are at most 255
/// bytes, at most kMostPathParts of them, and hold no back-slash, colon or control character. Errors:
/// kInvalidArgument.
Status check_file_path(std::string_view path);

/// Ends in .gguf, in any case.
bool is_model_file(std::string_view path);

/// "model-00002-of-00003.gguf" is shard 2 of 3 of "model".
struct Shard {
  std::string stem;  // with its folder
  unsigned index = 0, count = 0;
};
std::optional<Shard> parse_shard(std::string_view path);
/// The path of shard `index`.
std::string shard_path(const Shard& shard, unsigned index);

/// A path without ".gguf" and without the shard's number.
std::string stem_of(std::string_view path);
/// "q4_k_m" of "SmolLM2-135M-Instruct-Q4_K_M.gguf"; empty where the name tells none.
std::string quant_of(std::string_view path);

/// One model in a folder: its file, or the files of all its shards in order.
struct FileGroup {
  std::vector<std::string> files;
  const std::string& first() const { return files.front(); }
  /// All shards are there.
  bool whole() const;
};
/// The .gguf files among `paths` as models, in order of their paths. Files that only belong to a model
/// (projectors, importance matrices) are models too, but no selector and no default means them.
std::vector<FileGroup> group_files(std::vector<std::string> paths);

/// The one that `selector` means: a path, a file's name (with or without its ending), or a quantisation, in
/// any case. Empty: the only one, else the one of q4_k_m. Errors: kNotFound and kInvalidArgument (several)
/// listing what is there; they begin with `where`.
Result<FileGroup> select_files(std::span<const FileGroup> groups, std::string_view selector,
                               std::string_view where);

/// The shortest selector that means `group` among `groups`: its quantisation, or its path; empty where there
/// is nothing to select.
std::string selector_of(const FileGroup& group, std::span<const FileGroup> groups);

}  // namespace bantam::store
