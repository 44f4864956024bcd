#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam::formats {

/// Parses text of strangers: a request, a file of a model's directory. `what` opens the message ("request
/// body", "config.json"). Errors: kCorrupt for what is no JSON or no valid UTF-8, or has a key twice in an
/// object; kLimit for nesting deeper than `max_depth`.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, size_t max_depth = 64);

/// The same, with the members of objects in the order in which they came: for JSON schemas, whose order is
/// the order in which a model writes. Finding a member takes time in proportion to their number.
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view what,
                                                  size_t max_depth = 64);

}  // namespace bantam::formats
