#pragma once
// Files: whole reads, read-only maps, and writes that are either complete or absent.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam {

/// A file mapped read-only. Movable; the bytes live as long as the object. Safe to read from many threads.
class MappedFile {
 public:
  /// Errors: kNotFound, kIo; kInvalidArgument for something that is not a regular file. An empty file maps to
  /// no bytes.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  void* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

/// Gives back the memory of whole pages among these bytes of a MappedFile: they are read again when needed.
/// For what will hardly be. REQUIRES: bytes of a MappedFile.
void forget_pages(std::span<const std::byte> bytes);

/// The whole file as a string. Errors: kNotFound, kIo, kLimit above `max_bytes`.
Result<std::string> read_file(const std::string& path, uint64_t max_bytes = uint64_t{1} << 32);

/// Writes beside `path` (same directory, a name ending in ".partial"), then fsync and rename in commit().
/// Destroyed without a commit it removes what it wrote, so a reader never sees half a file.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  /// Errors: kNoSpace, kIo; after an error commit() fails too.
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  uint64_t size() const { return written_; }
  /// Has all that was written on the disk, under the name partial(), where it can be read before commit().
  Status sync();
  const std::string& partial() const { return partial_; }
  Status commit();

 private:
  AtomicFile() = default;
  Status flush();
  int fd_ = -1;
  std::string path_, partial_, buffer_;
  uint64_t written_ = 0;
  bool failed_ = false;
};

/// AtomicFile in one call.
Status write_file(const std::string& path, std::string_view content);

}  // namespace bantam
