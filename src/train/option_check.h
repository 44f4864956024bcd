#pragma once
// Ranges of options. Private to train/.

#include "base/result.h"

namespace bantam::train {

/// Errors: kInvalidArgument naming the option, its value and `range` unless `ok`.
inline Status need(bool ok, const char* name, double value, const char* range) {
  if (ok) return {};
  return fail(Code::kInvalidArgument, "{}: found {}, expected {}", name, value, range);
}

}  // namespace bantam::train
