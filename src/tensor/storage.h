#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace bantam::tensor {

/// Owns zeroed bytes aligned to a cache line. Moves, never copies. Large storage takes memory only where it
/// is written, and gives it back to the system when it ends, whichever allocator the program has.
class Storage {
 public:
  static constexpr size_t kAlignment = 64;

  Storage() = default;
  /// Errors: kLimit naming the size when the memory is not there.
  static Result<Storage> allocate(uint64_t bytes);
  /// The same in large pages, where the system has them: for what is read from end to end again and again.
  static Result<Storage> allocate_large(uint64_t bytes);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// The bytes as elements of T; those after the last whole element are left out.
  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data_), bytes_ / sizeof(T)};
  }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  struct Free {
    size_t mapped;  // bytes of a mapping of its own; 0: the heap's
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> memory_{nullptr, Free{0}};
  std::byte* data_ = nullptr;  // the first aligned byte of memory_
  size_t bytes_ = 0;
};

}  // namespace bantam::tensor
