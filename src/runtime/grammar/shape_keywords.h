#pragma once
// What the parts of Shaper share. Internal to runtime/grammar.

#include "runtime/grammar/shape.h"

namespace bantam::runtime::grammar {

// Keywords of schemas that we make; no document's key begins so by accident.
inline constexpr const char* kNotValues = "\1not values";
inline constexpr const char* kNotPattern = "\1not pattern";

inline bool is_schema(const Json& value) { return value.is_object() || value.is_boolean(); }

/// A keyword whose value is not what it should be.
std::unexpected<Error> wrong(std::string_view key, const Json& found, std::string_view expected);

}  // namespace bantam::runtime::grammar
