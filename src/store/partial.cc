#include "store/partial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "store/store.h"

namespace bantam::store {
namespace {

using Json = nlohmann::json;
constexpr uint64_t kSyncEvery = uint64_t{64} << 20;
constexpr size_t kReadBytes = size_t{1} << 20;

std::string this_boot() {
  auto id = read_file("/proc/sys/kernel/random/boot_id", 4096);
  if (!id) return {};
  while (id->ends_with('\n')) id->pop_back();
  return *id;
}

PartialState parse_state(const std::string& text) {
  PartialState out;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return out;
  const auto string = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
  };
  const auto number = [&](const char* key) {
    return json.contains(key) && json[key].is_number_unsigned() ? json[key].get<uint64_t>() : 0;
  };
  out.url = string("url");
  out.query = string("query");
  out.validator = string("validator");
  out.sha256 = string("sha256");
  out.hash_from = string("hash_from");
  out.boot = string("boot");
  out.bytes = number("bytes");
  out.synced = number("synced");
  return out;
}

std::string dump(const PartialState& state) {
  return Json{{"url", state.url},       {"query", state.query},         {"validator", state.validator},
              {"sha256", state.sha256}, {"hash_from", state.hash_from}, {"bytes", state.bytes},
              {"synced", state.synced}, {"boot", state.boot}}
             .dump(1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

void sync_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::optional<uint64_t> free_bytes(const std::string& path) {
  struct statvfs info {};
  std::filesystem::path folder = path;
  while (!folder.empty() && ::statvfs(folder.c_str(), &info) != 0) {
    if (folder == folder.parent_path()) return std::nullopt;
    folder = folder.parent_path();
  }
  if (folder.empty()) return std::nullopt;
  return uint64_t{info.f_bavail} * info.f_frsize;
}

Partial::~Partial() {
  if (fd_ >= 0) ::close(fd_);
}

Status Partial::open_locked() {
  const std::string path = partial_path(file_);
  for (int attempt = 0; attempt < 100; ++attempt) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd_ < 0) return fail_errno(path, errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
      return fail(Code::kBusy, "{}: found another process that fetches it, expected none", file_);
    // Whoever held the lock may have renamed or removed it between our two calls.
    struct stat ours {
    }, named{};
    if (::fstat(fd_, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
        ours.st_dev == named.st_dev) {
      size_ = static_cast<uint64_t>(ours.st_size);
      return {};
    }
    ::close(std::exchange(fd_, -1));
  }
  return fail(Code::kBusy, "{}: found other processes that fetch and remove it", file_);
}

Result<std::unique_ptr<Partial>> Partial::open(const std::string& file) {
  std::unique_ptr<Partial> out(new Partial(file));
  BANTAM_TRY(out->open_locked());
  auto text = read_file(state_path(file), 1 << 20);
  if (text) out->state_ = parse_state(*text);
  if (out->size_ > 0 && !text && text.error().code == Code::kNotFound) {
    return fail(Code::kInvalidArgument, "{}: found {} bytes that no pull wrote, expected no such file",
                partial_path(file), out->size_);
  }
  // After a crash of the system the end of the file may be there in length only.
  const bool same_boot = !out->state_.boot.empty() && out->state_.boot == this_boot();
  const uint64_t good = same_boot ? out->size_ : std::min(out->size_, out->state_.synced);
  if (good < out->size_ && ::ftruncate(out->fd_, static_cast<off_t>(good)) != 0)
    return fail_errno(partial_path(file), errno);
  out->size_ = good;
  out->state_.synced = std::min(out->state_.synced, good);
  BANTAM_TRY(out->rehash());
  return out;
}

Status Partial::rehash() {
  hash_ = std::make_unique<Sha256>();
  hashed_ = 0;
  std::vector<char> piece(kReadBytes);
  while (hashed_ < size_) {
    const ssize_t got = ::pread(fd_, piece.data(), piece.size(), static_cast<off_t>(hashed_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(partial_path(file_), errno);
    if (got == 0) return fail(Code::kIo, "{}: became shorter while it was read", partial_path(file_));
    hash_->update({piece.data(), static_cast<size_t>(got)});
    hashed_ += static_cast<uint64_t>(got);
  }
  return {};
}

Status Partial::set_state(PartialState state) {
  state.boot = this_boot();
  state_ = std::move(state);
  return write_file(state_path(file_), dump(state_));
}

Status Partial::append(std::string_view bytes) {
  const std::string_view all = bytes;
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      // What was written of this piece is not in the hash: it goes.
      const int error = errno;
      size_ = hashed_;
      if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return fail_errno(partial_path(file_), errno);
      return fail_errno(partial_path(file_), error);
    }
    size_ += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  hash_->update(all);
  hashed_ = size_;
  return size_ - state_.synced >= kSyncEvery ? sync() : Status{};
}

Status Partial::sync() {
  if (::fdatasync(fd_) != 0) return fail_errno(partial_path(file_), errno);
  state_.synced = size_;
  return set_state(std::move(state_));
}

Status Partial::restart() {
  if (::ftruncate(fd_, 0) != 0) return fail_errno(partial_path(file_), errno);
  size_ = 0;
  state_.synced = 0;
  return rehash();
}

std::string Partial::sha256() const { return hash_->hex(); }

Status Partial::finish(const std::string& source) {
  if (::fsync(fd_) != 0) return fail_errno(partial_path(file_), errno);
  // The note comes first, but never beside an earlier file of that name, of which it would not be true.
  struct stat info {};
  const bool replaces = ::lstat(file_.c_str(), &info) == 0;
  if (replaces) {
    ::unlink(source_path(file_).c_str());
    sync_folder(file_);
  } else {
    BANTAM_TRY(write_file(source_path(file_), source));
  }
  if (::rename(partial_path(file_).c_str(), file_.c_str()) != 0) return fail_errno(file_, errno);
  if (replaces) BANTAM_TRY(write_file(source_path(file_), source));
  ::unlink(state_path(file_).c_str());
  sync_folder(file_);
  return {};
}

void Partial::discard() {
  ::unlink(partial_path(file_).c_str());
  ::unlink(state_path(file_).c_str());
}

}  // namespace bantam::store
