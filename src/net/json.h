#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam::net {

/// Parses text that came over the network. `what` opens the message ("request body"). Errors: kCorrupt for
/// what is no JSON or no valid UTF-8, or has a key twice in an object; kLimit for nesting deeper than
/// `max_depth`.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, size_t max_depth = 64);

/// The same, with the members of objects in the order in which they came: for JSON schemas, whose order is
/// the order in which a model writes. Finding a member takes time in proportion to their number.
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view what,
                                                  size_t max_depth = 64);

/// One line of JSON; bytes that are not UTF-8 become U+FFFD, so that it cannot fail.
std::string to_text(const nlohmann::json& value);
std::string ordered_text(const nlohmann::ordered_json& value);

}  // namespace bantam::net
