#pragma once
#include <expected>
#include <string_view>

#include "server/generation.h"

namespace bantam::server {

/// Reads the body of a POST to /v1/messages: a conversation in blocks of content. Every parameter is
/// honoured, accepted in the values that change nothing, or refused by name. Source: Anthropic API reference,
/// "Create a Message".
std::expected<Generation, ApiError> read_messages_request(std::string_view body, const WireLimits& limits);
/// The same for /v1/messages/count_tokens, which has no parameters of the answer. Source: "Count tokens in a
/// Message".
std::expected<Generation, ApiError> read_count_request(std::string_view body, const WireLimits& limits);

}  // namespace bantam::server
