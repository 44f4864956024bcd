#include "tensor/storage.h"

#include <sys/mman.h>

#include <cstdlib>
#include <limits>

namespace bantam::tensor {

namespace {

// From here on blocks are mapped, as glibc's malloc begins to: a block's pages are zero and untouched, and
// gone when it is freed. Other allocators keep them for a while, and what a model is said to take would not
// be what it takes.
#if defined(__wasm__)
constexpr uint64_t kMapped = std::numeric_limits<uint64_t>::max();  // a map there is a block of malloc's
#else
constexpr uint64_t kMapped = uint64_t{1} << 17;
#endif

}  // namespace

void Storage::Free::operator()(void* memory) const {
  if (mapped > 0) {
    ::munmap(memory, mapped);
  } else {
    std::free(memory);
  }
}

Result<Storage> Storage::allocate(uint64_t bytes) {
  Storage out;
  if (bytes == 0) return out;
  if (bytes >= kMapped) {
    const bool fits = bytes <= std::numeric_limits<size_t>::max() / 2;
    void* memory = fits ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                        : MAP_FAILED;
    if (memory == MAP_FAILED) return fail(Code::kLimit, "no memory for {} bytes", bytes);
    out.memory_ = std::unique_ptr<void, Free>(memory, Free{static_cast<size_t>(bytes)});
    out.data_ = static_cast<std::byte*>(memory);
    out.bytes_ = bytes;
    return out;
  }
  const bool fits = bytes <= std::numeric_limits<size_t>::max() - kAlignment;
  out.memory_.reset(fits ? std::calloc(static_cast<size_t>(bytes) + kAlignment, 1) : nullptr);
  if (out.memory_ == nullptr) return fail(Code::kLimit, "no memory for {} bytes", bytes);
  const auto address = reinterpret_cast<uintptr_t>(out.memory_.get());
  out.data_ = static_cast<std::byte*>(out.memory_.get()) + (kAlignment - address % kAlignment) % kAlignment;
  out.bytes_ = bytes;
  return out;
}

Result<Storage> Storage::allocate_large(uint64_t bytes) {
  constexpr uint64_t kLargePage = uint64_t{1} << 21;
  BANTAM_ASSIGN(auto out, allocate(bytes));
  const auto address = reinterpret_cast<uintptr_t>(out.data_);
  const uint64_t begin = (address + kLargePage - 1) / kLargePage * kLargePage,
                 end = (address + bytes) / kLargePage * kLargePage;
  // A wish: where it is not granted, small pages do.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  return out;
}

}  // namespace bantam::tensor
