#pragma once
// The folder of models: ROOT/OWNER/NAME/FILE.gguf under their own names, so that other programs find them and
// a file put there by hand is a model too. What is being fetched lies beside as .FILE.partial.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/name.h"

namespace bantam::store {

struct StoredModel {
  std::string name;                // the shortest that find() takes: "owner/name:q4_k_m"
  std::vector<std::string> files;  // paths of all shards; the first is what is opened
  uint64_t bytes = 0;
  int64_t modified = 0;  // seconds since 1970, of the newest file
  bool whole = true;     // false: shards are missing
};

/// A file of which a pull has fetched a part. What other commands write beside their files is none, whatever
/// it is called.
struct PartialFile {
  std::string name;               // "owner/name:file.gguf"
  std::string path;               // of what is there
  uint64_t bytes = 0, total = 0;  // total: 0 where it is not known
  int64_t modified = 0;
};

struct Removed {
  std::string path;
  uint64_t bytes = 0;
};

/// Where a pull keeps what belongs to FILE: ".FILE.partial", its state ".FILE.partial.json", and of a whole
/// file where it came from, ".FILE.source.json".
std::string partial_path(const std::string& file);
std::string state_path(const std::string& file);
std::string source_path(const std::string& file);

class Store {
 public:
  /// Nothing is created.
  explicit Store(std::string root) : root_(std::move(root)) {}
  /// $XDG_DATA_HOME/bantam/models, else ~/.local/share/bantam/models; empty where neither is set.
  static std::string default_root();

  const std::string& root() const { return root_; }
  std::string folder(const ModelName& name) const { return root_ + "/" + name.folder(); }

  /// In order of their names. A root that does not exist is empty. Errors: kIo.
  Result<std::vector<StoredModel>> models() const;
  Result<std::vector<PartialFile>> partials() const;
  /// Errors: kNotFound, and kInvalidArgument where several are meant, listing them.
  Result<StoredModel> find(const ModelName& name) const;
  /// Removes the model that `name` means, with what belongs to it, or what was fetched of one; `all`: every
  /// file of owner/name but those that other commands have not finished (.partial). Empty folders go too.
  /// Errors: those of find, kBusy (then nothing is removed) where one of the files is being fetched, kIo.
  Result<std::vector<Removed>> remove(const ModelName& name, bool all) const;
  /// Removes what interrupted pulls left, but not what is being fetched now.
  Result<std::vector<Removed>> remove_partials() const;
  /// Removes the folders of `path`, a file of the store, that are empty: never the root, nor one above it.
  void remove_empty(const std::string& path) const;

 private:
  struct Entry {
    std::string owner, name;
    std::vector<std::string> files;     // relative to the folder
    std::vector<std::string> partials;  // FILE of each .FILE.partial
  };
  Result<std::vector<Entry>> scan() const;
  Result<Entry> scan_folder(const std::string& owner, const std::string& name) const;
  Status remove_file(const std::string& path, std::vector<Removed>& removed) const;
  Status remove_with_partial(const std::string& path, std::vector<Removed>& removed) const;

  std::string root_;
};

/// What a user named where a model is expected: a file that exists as it is, else a model of the store.
/// Errors: kNotFound naming both places; those of Store::find.
Result<std::string> resolve_model(const std::string& argument, const std::string& root);

}  // namespace bantam::store
