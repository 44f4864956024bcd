#pragma once
#include <cstdint>
#include <optional>

#include "base/result.h"

namespace bantam::runtime {

/// Bytes this process can still take without swapping: what the system calls available, or less where a
/// control group limits it; nullopt where the system does not tell.
std::optional<uint64_t> available_memory();

/// Bytes of this process's own memory that are in use (resident and not of a file); 0 where the system does
/// not tell.
uint64_t own_memory();

/// Errors: kLimit naming both figures when `bytes` for `what` are not available.
Status check_memory(uint64_t bytes, std::string_view what);

}  // namespace bantam::runtime
