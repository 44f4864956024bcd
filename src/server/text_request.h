#pragma once
#include <expected>
#include <string_view>

#include "server/generation.h"

namespace bantam::server {

/// Reads the body of a POST to /v1/completions: a text, or several, to be continued. Every parameter is
/// honoured, accepted in the one value that changes nothing, or refused by name. Source: OpenAI API
/// reference, "Create completion".
std::expected<Generation, ApiError> read_text_request(std::string_view body, const WireLimits& limits);

}  // namespace bantam::server
