#include "chat/prompt.h"

#include "text/chat_template.h"

namespace bantam::chat {

Result<Prompt> chat_prompt(const runtime::Engine& engine, const std::vector<Message>& messages) {
  std::vector<text::ChatTurn> turns;
  for (const Message& m : messages) turns.push_back({m.role, m.content});
  auto rendered = text::render_chat(engine.chat_template(), turns, /*add_generation_prompt=*/true);
  if (!rendered) return std::unexpected(std::move(rendered).error().in("messages"));
  Prompt out;
  auto tokens = text::encode_chat(engine.tokenizer(), *rendered);
  if (!tokens) return std::unexpected(std::move(tokens).error().in("messages"));
  out.tokens = std::move(*tokens);
  out.stop = std::move(rendered->stop);
  if (engine.chat_template().empty()) {
    out.notes.push_back("the model has no chat template: it continues the text of the messages");
  }
  if (rendered->unused_turns > 0) {
    out.notes.push_back(
        fmt::format("the model's template has no place for {} of the {} messages: they had no effect",
                    rendered->unused_turns, messages.size()));
  }
  return out;
}

}  // namespace bantam::chat
