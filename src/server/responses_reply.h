#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "server/generation.h"

namespace bantam::server {

/// Answers as a "response" object with output items, whole or as the API's typed events with sequence
/// numbers. `echo` holds the members that repeat the request. A stream that breaks ends with
/// "response.failed". Ours, "bantam", is a member of the finished response. Source: OpenAI API reference,
/// "Responses" and "Streaming events".
std::unique_ptr<ReplyFormat> make_responses_reply(nlohmann::json echo, bool logprobs);

}  // namespace bantam::server
