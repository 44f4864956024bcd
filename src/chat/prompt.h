#pragma once
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "chat/tool_calls.h"
#include "runtime/engine.h"
#include "text/chat_template.h"

namespace bantam::chat {

struct Prompt {
  std::vector<runtime::TokenId> tokens;
  std::vector<std::string> stop;   // texts that end the model's turn, beside its end tokens
  std::vector<std::string> notes;  // what a caller should know, for Reply::notes
};

/// The request's conversation as the model's prompt, ready for its answer, in the form of the model's chat
/// template; tools and their calls as `style` says. Errors: those of text::render_chat and text::encode_chat,
/// opened by "messages: ". Internal to chat.
Result<Prompt> chat_prompt(const runtime::Engine& engine, const Request& request, const CallStyle& style);

}  // namespace bantam::chat
