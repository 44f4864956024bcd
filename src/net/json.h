#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "formats/json.h"

namespace bantam::net {

using formats::parse_json;
using formats::parse_ordered_json;

/// One line of JSON; bytes that are not UTF-8 become U+FFFD, so that it cannot fail.
std::string to_text(const nlohmann::json& value);
std::string ordered_text(const nlohmann::ordered_json& value);

}  // namespace bantam::net
