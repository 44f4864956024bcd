#pragma once
// JSON Schema (drafts 4 to 2020-12) to a Machine. Internal to runtime/grammar.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

/// Adds the values of a schema to `machine`; what is returned is the root's. A machine may hold several.
/// `notes` gets what had no effect: keywords the specification does not know, formats nobody defined, lengths
/// that were narrowed. Errors: kInvalidArgument for text that is no schema, or one that accepts nothing;
/// kUnsupported naming a keyword that is not implemented; kLimit.
Result<int> compile_schema(std::string_view schema, Machine& machine, std::vector<std::string>& notes);

}  // namespace bantam::runtime::grammar
