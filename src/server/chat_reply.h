#pragma once
#include <memory>
#include <string>

#include "server/generation.h"

namespace bantam::server {

struct ChatReplyOptions {
  std::string model;           // the name that was asked for
  bool include_usage = false;  // in a chunk of its own at the end of a stream
  bool logprobs = false;
};

/// Answers as "chat.completion" or "chat.completion.chunk" objects, with an object of ours, "bantam": in a
/// stream in the last chunk before "[DONE]". A stream that breaks ends with an error and without "[DONE]", so
/// that no client takes it for the end.
std::unique_ptr<ReplyFormat> make_chat_reply(ChatReplyOptions options);

}  // namespace bantam::server
