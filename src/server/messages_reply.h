#pragma once
#include <memory>
#include <string>

#include "server/generation.h"

namespace bantam::server {

/// Answers as a "message" object with blocks of content, whole or as the API's events. The prompt's tokens
/// are known at the end only: "message_start" says 0, "message_delta" the figure. A stream that breaks ends
/// with an "error" event. Ours, "bantam", is a member of the message, or of "message_delta". Source:
/// Anthropic API reference, "Messages" and "Streaming Messages".
std::unique_ptr<ReplyFormat> make_messages_reply(std::string model);

}  // namespace bantam::server
