#pragma once
#include <memory>
#include <string>
#include <vector>

#include "server/generation.h"

namespace bantam::server {

struct TextReplyOptions {
  std::string model;  // the name that was asked for
  bool include_usage = false;
  bool logprobs = false;
  std::vector<std::string> echo;  // what stands before each answer; empty: nothing
};

/// Answers as "text_completion" objects, whole or streamed, with "bantam" as in chat completions.
std::unique_ptr<ReplyFormat> make_text_reply(TextReplyOptions options);

}  // namespace bantam::server
