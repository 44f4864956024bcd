#include "chat/prompt.h"

#include <map>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::chat {
namespace {

using Json = nlohmann::ordered_json;

/// A message as OpenAI's API writes it, which is what templates read.
Json as_json(const Message& message) {
  Json out = {{"role", message.role}, {"content", message.content}};
  for (const ToolCall& call : message.tool_calls) {
    out["tool_calls"].push_back({{"id", call.id},
                                 {"type", "function"},
                                 {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) out["name"] = message.name;
  return out;
}

/// Ids of nine letters and digits, as some templates want them, by their order.
std::vector<Message> with_short_ids(std::vector<Message> messages) {
  std::map<std::string, std::string> names;
  auto shorten = [&](std::string& id) {
    if (id.empty()) return;
    const auto [place, fresh] = names.try_emplace(id);
    if (fresh) place->second = fmt::format("call{:05}", names.size());
    id = place->second;
  };
  for (Message& message : messages) {
    for (ToolCall& call : message.tool_calls) shorten(call.id);
    shorten(message.tool_call_id);
  }
  return messages;
}

Json tools_json(const std::vector<Tool>& tools) {
  Json out = Json::array();
  for (const Tool& tool : tools) {
    auto parameters = net::parse_ordered_json(tool.parameters, "parameters");
    if (!parameters) parameters = Json{{"type", "object"}, {"properties", Json::object()}};
    out.push_back(
        {{"type", "function"},
         {"function",
          {{"name", tool.name}, {"description", tool.description}, {"parameters", std::move(*parameters)}}}});
  }
  return out;
}

}  // namespace

Result<Prompt> chat_prompt(const runtime::Engine& engine, const Request& request, const CallStyle& style) {
  text::ChatOptions options = text::chat_options(engine.tokenizer());
  std::vector<Message> messages = request.messages;
  Json tools;
  if (concerns_tools(request) && !style.native) {
    messages = with_tools_as_text(request);
  } else if (concerns_tools(request)) {
    if (style.form.short_ids) messages = with_short_ids(std::move(messages));
    if (may_call(request)) tools = tools_json(request.tools);
    if (may_call(request)) options.tools = &tools;
  }
  auto turns = Json::array();
  for (const Message& m : messages) turns.push_back(as_json(m));
  auto rendered = text::render_chat(engine.chat_template(), turns, options);
  if (!rendered) return std::unexpected(std::move(rendered).error().in("messages"));
  Prompt out;
  auto tokens = text::encode_chat(engine.tokenizer(), *rendered);
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
