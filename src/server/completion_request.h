#pragma once
#include <expected>
#include <string>
#include <string_view>

#include "chat/chat_model.h"
#include "server/api_error.h"

namespace bantam::server {

/// The body of a POST to /v1/chat/completions, checked.
struct CompletionRequest {
  std::string model;
  chat::Request chat;
  bool stream = false;
  bool include_usage = false;  // in a chunk of its own at the end of the stream
};

/// Every parameter of the API is honoured, or accepted in the one value that changes nothing, or refused by
/// name; one that the API does not have is refused too, except for the extensions guided_choice, top_k and
/// min_p. See docs/server.md for the list.
std::expected<CompletionRequest, ApiError> read_completion_request(std::string_view body);

}  // namespace bantam::server
