#pragma once
// Calls of functions, and the text around them, to a Machine. Internal to runtime/grammar.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

/// Adds what CallRules allow; what is returned begins it. `notes`: as compile_schema. Errors: those of
/// Grammar::calls.
Result<int> compile_calls(const CallRules& rules, Machine& machine, std::vector<std::string>& notes);

}  // namespace bantam::runtime::grammar
