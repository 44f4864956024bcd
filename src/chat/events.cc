#include "chat/events.h"

#include <utility>

namespace bantam::chat {

EventSink text_sink(std::function<bool(std::string_view)> take) {
  if (!take) return {};
  return [take = std::move(take)](Event event) -> Awaitable<bool> {
    const auto* delta = std::get_if<TextDelta>(&event);
    co_return !delta || take(delta->text);
  };
}

Awaitable<bool> send_whole(const Reply& reply, const EventSink& sink) {
  bool more = true;
  if (!sink) co_return more;
  if (!reply.text.empty() || !reply.logprobs.empty())
    more = co_await sink(TextDelta{reply.text, reply.logprobs});
  for (uint32_t i = 0; more && i < reply.tool_calls.size(); ++i) {
    const ToolCall& call = reply.tool_calls[i];
    more = co_await sink(ToolCallDelta{i, call.id, call.name, call.arguments});
  }
  co_return more;
}

}  // namespace bantam::chat
