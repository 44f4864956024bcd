#pragma once
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "runtime/engine.h"

namespace bantam::chat {

struct Prompt {
  std::vector<runtime::TokenId> tokens;
  std::vector<std::string> stop;   // texts that end the model's turn, beside its end tokens
  std::vector<std::string> notes;  // what a caller should know, for Reply::notes
};

/// The conversation as the model's prompt, ready for its answer, in the form of the model's chat template.
/// Errors: those of text::render_chat and text::encode_chat, opened by "messages: ". Internal to chat.
Result<Prompt> chat_prompt(const runtime::Engine& engine, const std::vector<Message>& messages);

}  // namespace bantam::chat
