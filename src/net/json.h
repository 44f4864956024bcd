#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "formats/json.h"

namespace bantam::net {

/// What formats::parse_json and parse_ordered_json give for the same text, values and errors alike, in less
/// time: what comes over the wire is read by simdjson (Langdale and Lemire 2019), where the build has it.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, size_t max_depth = 64);
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view what,
                                                  size_t max_depth = 64);

/// One line of JSON; bytes that are not UTF-8 become U+FFFD, so that it cannot fail.
std::string to_text(const nlohmann::json& value);
std::string ordered_text(const nlohmann::ordered_json& value);

}  // namespace bantam::net
