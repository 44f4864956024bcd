#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace bantam {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Result<uint64_t> regular_size(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(path, errno);
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalidArgument, "{}: not a regular file", path);
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return fail_errno(path, errno);
  BANTAM_ASSIGN(uint64_t size, regular_size(file.fd, path));
  MappedFile out;
  out.path_ = path;
  out.size_ = size;
  if (size == 0) return out;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) return fail_errno(path, errno);
  out.data_ = data;
  return out;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void forget_pages(std::span<const std::byte> bytes) {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page,
             end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  // What fails leaves the pages where they are.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<std::string> read_file(const std::string& path, uint64_t max_bytes) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return fail_errno(path, errno);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return fail_errno(path, errno);
  if (S_ISDIR(info.st_mode)) return fail(Code::kInvalidArgument, "{}: is a directory, expected a file", path);
  std::string out;
  if (info.st_size > 0 && static_cast<uint64_t>(info.st_size) <= max_bytes) out.reserve(info.st_size);
  std::string chunk(size_t{1} << 16, '\0');
  while (true) {  // not by st_size: pipes and /proc say 0
    ssize_t got = ::read(file.fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(path, errno);
    if (got == 0) return out;
    if (out.size() + got > max_bytes) return fail(Code::kLimit, "{}: larger than {} bytes", path, max_bytes);
    out.append(chunk.data(), got);
  }
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  AtomicFile out;
  out.path_ = path;
  out.partial_ = fmt::format("{}.{}.partial", path, ::getpid());
  out.fd_ = ::open(out.partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out.fd_ < 0) return fail_errno(out.partial_, errno);
  return out;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      buffer_(std::move(other.buffer_)),
      written_(other.written_),
      failed_(other.failed_) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  return write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Status AtomicFile::write(std::string_view text) {
  if (failed_) return fail(Code::kIo, "{}: an earlier write failed", path_);
  written_ += text.size();
  buffer_.append(text);
  return buffer_.size() >= kBufferBytes ? flush() : Status{};
}

Status AtomicFile::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    ssize_t put = ::write(fd_, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      failed_ = true;
      return fail_errno(path_, errno);
    }
    rest.remove_prefix(put);
  }
  buffer_.clear();
  return {};
}

Status AtomicFile::sync() {
  if (failed_) return fail(Code::kIo, "{}: an earlier write failed", path_);
  BANTAM_TRY(flush());
  return ::fsync(fd_) == 0 ? Status{} : fail_errno(path_, errno);
}

Status AtomicFile::commit() {
  BANTAM_TRY(sync());
  if (::close(std::exchange(fd_, -1)) != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) {
    int error = errno;
    ::unlink(partial_.c_str());
    return fail_errno(path_, error);
  }
  // The rename itself is durable only once its directory is.
  auto folder = std::filesystem::path(path_).parent_path();
  Descriptor dir{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd >= 0) ::fsync(dir.fd);
  return {};
}

Status write_file(const std::string& path, std::string_view content) {
  BANTAM_ASSIGN(AtomicFile file, AtomicFile::create(path));
  BANTAM_TRY(file.write(content));
  return file.commit();
}

}  // namespace bantam
