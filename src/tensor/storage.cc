#include "tensor/storage.h"

#include <sys/mman.h>

#include <cstdlib>

#include "base/checked.h"

namespace bantam::tensor {

void Storage::Free::operator()(void* memory) const { std::free(memory); }

Result<Storage> Storage::allocate(uint64_t bytes) {
  Storage out;
  if (bytes == 0) return out;
  // calloc, not aligned_alloc and memset: fresh pages of a large block are zero already and stay untouched
  // until used.
  const auto padded = checked_add<uint64_t>(bytes, kAlignment);
  out.memory_.reset(padded ? std::calloc(*padded, 1) : nullptr);
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
