#pragma once
#include <expected>
#include <string_view>

#include "server/generation.h"

namespace bantam::server {

/// Reads the body of a POST to /v1/chat/completions. Every parameter of the API is honoured, or accepted in
/// the one value that changes nothing, or refused by name; one that the API does not have is refused too,
/// except for the extensions guided_choice, top_k, min_p and typed_events. See docs/server.md for the list.
/// Source: OpenAI API reference, "Create chat completion".
std::expected<Generation, ApiError> read_chat_request(std::string_view body, const WireLimits& limits);

}  // namespace bantam::server
