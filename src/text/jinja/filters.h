#pragma once
// Filters by what they work on; filters.cc holds their names. Internal to jinja.

#include <span>
#include <string_view>
#include <utility>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {

using Filter = Result<Value> (*)(Interpreter&, const Value&, const Call&, std::string_view name);
using NamedFilter = std::pair<std::string_view, Filter>;

std::span<const NamedFilter> text_filters();      // of texts and numbers
std::span<const NamedFilter> sequence_filters();  // of lists, dicts and whatever can be gone through

/// A text as it is; anything else as it is printed.
Result<const TracedText*> as_text(Interpreter& in, const Value& value);
/// A flag of the call, by place or name.
bool flag(const Call& call, size_t index, std::string_view name, bool fallback);

}  // namespace bantam::text::jinja
