#pragma once
#include <expected>
#include <string_view>

#include "server/generation.h"

namespace bantam::server {

/// Reads the body of a POST to /v1/responses. Every parameter is honoured, accepted in the values that change
/// nothing, or refused by name; so is whatever needs a response that was stored before (previous_response_id,
/// conversation, item references, store: true), since none is kept. Source: OpenAI API reference, "Create a
/// model response".
std::expected<Generation, ApiError> read_responses_request(std::string_view body, const WireLimits& limits);

}  // namespace bantam::server
