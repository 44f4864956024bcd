#pragma once
#include <string_view>

#include "base/result.h"
#include "kernels/table.h"

namespace bantam::kernels {

/// The table of the best instruction set this machine has, or the one that BANTAM_ISA names (docs/running.md
/// lists them); decided once. Errors: kInvalidArgument for another name, kUnsupported when the machine or the
/// build lacks it.
Result<const Table*> choose_table();
/// The table by name, for tests and benchmarks. Errors as above.
Result<const Table*> table_by_name(std::string_view name);

}  // namespace bantam::kernels
