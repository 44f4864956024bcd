#include "store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace bantam::store {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPartial = ".partial";

std::string beside(const std::string& file, std::string_view ending) {
  const size_t slash = file.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  return fmt::format("{}.{}{}", file.substr(0, name), file.substr(name), ending);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<FileGroup> groups_of(const std::vector<std::string>& files) { return group_files(files); }

StoredModel describe(const std::string& folder, const ModelName& name, const FileGroup& group,
                     std::span<const FileGroup> groups) {
  StoredModel out;
  ModelName full = name;
  full.selector = selector_of(group, groups);
  out.name = full.text();
  out.whole = group.whole();
  for (const auto& file : group.files) {
    const std::string path = folder + "/" + file;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) continue;
    out.files.push_back(path);
    out.bytes += static_cast<uint64_t>(info.st_size);
    out.modified = std::max<int64_t>(out.modified, info.st_mtime);
  }
  return out;
}

uint64_t total_of(const std::string& file) {
  const auto text = read_file(state_path(file), 1 << 20);
  const auto json = nlohmann::json::parse(text ? *text : "", nullptr, false);
  const bool known = json.is_object() && json.contains("bytes") && json["bytes"].is_number_unsigned();
  return known ? json["bytes"].get<uint64_t>() : 0;
}

/// True while a pull holds its lock.
bool is_being_fetched(const std::string& partial) {
  const int fd = ::open(partial.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool busy = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  ::close(fd);
  return busy;
}

/// Whether a pull made `partial`, ".FILE.partial" of the model file `file`: it fetches no other files, and
/// writes nothing before the state lies beside.
bool is_of_a_pull(const std::string& partial, const std::string& file) {
  std::error_code ignored;
  return is_model_file(file) && (fs::exists(state_path(file), ignored) || fs::file_size(partial, ignored) == 0);
}

/// Notes about files that are not there any more, where somebody removed them by hand, and what of such notes
/// was being written when a pull was killed (".FILE.source.json.4711.partial").
void remove_orphans(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> orphans;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(kPartial)) {
      name.resize(name.size() - kPartial.size());
      const size_t dot = name.rfind('.');
      if (dot != std::string::npos && name.find_first_not_of("0123456789", dot + 1) == std::string::npos)
        name.resize(dot);
    }
    for (std::string_view ending : {".source.json", ".partial.json"}) {
      if (!name.starts_with('.') || !name.ends_with(ending)) continue;
      const std::string file = (folder / name.substr(1, name.size() - 1 - ending.size())).string();
      if (!fs::exists(file, error) && !fs::exists(partial_path(file), error)) orphans.push_back(entry.path());
    }
  }
  for (const auto& orphan : orphans) fs::remove(orphan, error);
}

/// Folders of the store's first two levels whose names may be a part of a model's.
Result<std::vector<std::string>> folders_in(const std::string& path) {
  std::vector<std::string> out;
  std::error_code error;
  for (auto it = fs::directory_iterator(path, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->path().filename().string().starts_with('.'))
      out.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) return fail_errno(path, error.value());
  std::ranges::sort(out);
  return out;
}

}  // namespace

std::string partial_path(const std::string& file) { return beside(file, kPartial); }
std::string state_path(const std::string& file) { return beside(file, ".partial.json"); }
std::string source_path(const std::string& file) { return beside(file, ".source.json"); }

std::string Store::default_root() {
  if (const std::string data = environment("XDG_DATA_HOME"); data.starts_with('/'))
    return data + "/bantam/models";
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : home + "/.local/share/bantam/models";
}

Result<Store::Entry> Store::scan_folder(const std::string& owner, const std::string& name) const {
  Entry out{owner, name, {}, {}};
  const fs::path folder = fs::path(root_) / owner / name;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it.depth() >= kMostPathParts) it.disable_recursion_pending();
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    const std::string path = it->path().lexically_relative(folder).string();
    const std::string file = it->path().filename().string();
    if (file.ends_with(kPartial)) {
      if (!file.starts_with('.') || file.size() <= 1 + kPartial.size()) continue;
      const std::string whole = file.substr(1, file.size() - 1 - kPartial.size());
      const fs::path named = fs::path(path).parent_path() / whole;
      if (check_file_path(named.string()) && is_of_a_pull(it->path().string(), (folder / named).string()))
        out.partials.push_back(named.string());
    } else if (check_file_path(path)) {
      out.files.push_back(path);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_errno(folder.string(), error.value());
  std::ranges::sort(out.partials);
  return out;
}

Result<std::vector<Store::Entry>> Store::scan() const {
  std::vector<Entry> out;
  BANTAM_ASSIGN(const auto owners, folders_in(root_));
  for (const auto& owner : owners) {
    BANTAM_ASSIGN(const auto names, folders_in(root_ + "/" + owner));
    for (const auto& name : names) {
      if (!parse_name(owner + "/" + name)) continue;  // no pull made it, and no name would find it
      BANTAM_ASSIGN(auto entry, scan_folder(owner, name));
      out.push_back(std::move(entry));
    }
  }
  return out;
}

Result<std::vector<StoredModel>> Store::models() const {
  std::vector<StoredModel> out;
  BANTAM_ASSIGN(const auto entries, scan());
  for (const auto& entry : entries) {
    const ModelName name{entry.owner, entry.name, {}};
    const auto groups = groups_of(entry.files);
    for (const auto& group : groups) out.push_back(describe(folder(name), name, group, groups));
  }
  return out;
}

Result<std::vector<PartialFile>> Store::partials() const {
  std::vector<PartialFile> out;
  BANTAM_ASSIGN(const auto entries, scan());
  for (const auto& entry : entries) {
    const ModelName name{entry.owner, entry.name, {}};
    for (const auto& file : entry.partials) {
      const std::string whole = folder(name) + "/" + file;
      PartialFile partial{.name = name.folder() + ":" + file, .path = partial_path(whole)};
      struct stat info {};
      if (::stat(partial.path.c_str(), &info) != 0) continue;
      partial.bytes = static_cast<uint64_t>(info.st_size);
      partial.modified = info.st_mtime;
      partial.total = total_of(whole);
      out.push_back(std::move(partial));
    }
  }
  return out;
}

Result<StoredModel> Store::find(const ModelName& name) const {
  BANTAM_ASSIGN(const Entry entry, scan_folder(name.owner, name.name));
  if (entry.files.empty()) {
    return fail(Code::kNotFound, "{}: found no such model in the store {}", name.text(), root_);
  }
  const auto groups = groups_of(entry.files);
  BANTAM_ASSIGN(const FileGroup group, select_files(groups, name.selector, name.folder()));
  StoredModel out = describe(folder(name), name, group, groups);
  if (!out.whole) {
    return fail(Code::kNotFound, "{}: found {} of the model's {} files; `bantam pull {}` fetches the others",
                out.name, out.files.size(), parse_shard(group.first())->count, out.name);
  }
  return out;
}

Status Store::remove_file(const std::string& path, std::vector<Removed>& removed) const {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (::unlink(path.c_str()) != 0) return fail_errno(path, errno);
  removed.push_back({path, static_cast<uint64_t>(info.st_size)});
  return {};
}

Status Store::remove_with_partial(const std::string& path, std::vector<Removed>& removed) const {
  std::vector<Removed> small;  // what is not worth telling
  BANTAM_TRY(remove_file(path, removed));
  if (is_of_a_pull(partial_path(path), path)) BANTAM_TRY(remove_file(partial_path(path), removed));
  BANTAM_TRY(remove_file(state_path(path), small));
  BANTAM_TRY(remove_file(source_path(path), small));
  remove_empty(path);
  return {};
}

void Store::remove_empty(const std::string& path) const {
  const fs::path root = fs::path(root_).lexically_normal();
  remove_orphans(fs::path(path).parent_path());
  for (fs::path folder = fs::path(path).lexically_normal().parent_path();
       folder != root && folder.native().size() > root.native().size(); folder = folder.parent_path()) {
    if (::rmdir(folder.c_str()) != 0) return;
  }
}

Result<std::vector<Removed>> Store::remove(const ModelName& name, bool all) const {
  BANTAM_ASSIGN(const Entry entry, scan_folder(name.owner, name.name));
  std::vector<std::string> files;
  if (all) {
    files = entry.files;
    files.insert(files.end(), entry.partials.begin(), entry.partials.end());
  } else if (std::ranges::find(entry.partials, name.selector) != entry.partials.end()) {
    files = {name.selector};
  } else {
    std::vector<std::string> known = entry.files;
    known.insert(known.end(), entry.partials.begin(), entry.partials.end());
    std::ranges::sort(known);
    known.erase(std::unique(known.begin(), known.end()), known.end());
    if (!known.empty()) {
      const auto groups = groups_of(known);
      BANTAM_ASSIGN(const FileGroup group, select_files(groups, name.selector, name.folder()));
      files = group.files;
    }
  }
  if (files.empty())
    return fail(Code::kNotFound, "{}: found no such model in the store {}", name.text(), root_);
  for (const auto& file : files) {
    const std::string path = folder(name) + "/" + file;
    if (is_being_fetched(partial_path(path)))
      return fail(Code::kBusy, "{}: found a pull that is fetching it, expected none", path);
  }
  std::vector<Removed> out;
  for (const auto& file : files) BANTAM_TRY(remove_with_partial(folder(name) + "/" + file, out));
  return out;
}

Result<std::vector<Removed>> Store::remove_partials() const {
  std::vector<Removed> out, small;
  BANTAM_ASSIGN(const auto entries, scan());
  for (const auto& entry : entries) {
    for (const auto& file : entry.partials) {
      const std::string path = folder({entry.owner, entry.name, {}}) + "/" + file;
      if (is_being_fetched(partial_path(path))) continue;
      BANTAM_TRY(remove_file(partial_path(path), out));
      BANTAM_TRY(remove_file(state_path(path), small));
      remove_empty(path);
    }
  }
  return out;
}

Result<std::string> resolve_model(const std::string& argument, const std::string& root) {
  std::error_code ignored;
  if (fs::exists(argument, ignored)) return argument;
  const auto name = parse_name(argument);
  // A path that does not exist is reported by whoever opens it. One that may be meant as a file's is, too.
  if (!name || (argument.ends_with(".gguf") && name->selector.empty())) return argument;
  auto found = Store(root).find(*name);
  if (found) return found->files.front();
  if (found.error().code != Code::kNotFound) return std::unexpected(std::move(found).error());
  return fail(Code::kNotFound, "{}; nor a file of that name", found.error().message);
}

}  // namespace bantam::store
