#pragma once
// Small things around EventSink that strategies, the command line and tests share.

#include <functional>
#include <string_view>

#include "chat/chat_model.h"

namespace bantam::chat {

/// A sink of the answer's text alone, for callers that have nothing to wait for. Tool calls and verdicts pass
/// it by. An empty `take` gives an empty sink.
EventSink text_sink(std::function<bool(std::string_view text)> take);

/// Gives a reply that is there as a whole to `sink` as events: its text, then its tool calls. False when the
/// sink wanted no more; true at once for an empty sink. Both live until the awaitable is done.
Awaitable<bool> send_whole(const Reply& reply, const EventSink& sink);

}  // namespace bantam::chat
