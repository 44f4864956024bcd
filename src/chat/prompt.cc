#include "chat/prompt.h"

#include <nlohmann/json.hpp>

#include "text/chat_template.h"

namespace bantam::chat {
namespace {

/// A message as OpenAI's API writes it, which is what templates read.
nlohmann::ordered_json as_json(const Message& message) {
  nlohmann::ordered_json out = {{"role", message.role}, {"content", message.content}};
  for (const ToolCall& call : message.tool_calls) {
    out["tool_calls"].push_back({{"id", call.id},
                                 {"type", "function"},
                                 {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) out["name"] = message.name;
  return out;
}

}  // namespace

Result<Prompt> chat_prompt(const runtime::Engine& engine, const std::vector<Message>& messages) {
  auto turns = nlohmann::ordered_json::array();
  for (const Message& m : messages) turns.push_back(as_json(m));
  text::ChatOptions options;
  const text::Tokenizer& tokenizer = engine.tokenizer();
  if (tokenizer.bos()) options.bos = tokenizer.piece(*tokenizer.bos(), /*special=*/true);
  if (tokenizer.eos()) options.eos = tokenizer.piece(*tokenizer.eos(), /*special=*/true);
  auto rendered = text::render_chat(engine.chat_template(), turns, options);
  if (!rendered) return std::unexpected(std::move(rendered).error().in("messages"));
  Prompt out;
  auto tokens = text::encode_chat(tokenizer, *rendered);
  if (!tokens) return std::unexpected(std::move(tokens).error().in("messages"));
  out.tokens = std::move(*tokens);
  out.stop = std::move(rendered->stop);
  out.notes = std::move(rendered->notes);
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
