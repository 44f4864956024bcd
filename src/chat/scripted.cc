#include "chat/scripted.h"

#include "base/usage.h"
#include "net/async_event.h"

namespace bantam::chat {
namespace {

/// False when the request was cancelled or its deadline passed within the delay.
Awaitable<bool> wait_for(std::chrono::milliseconds delay, const Request& request) {
  if (delay.count() == 0) co_return !request.cancel.stop_requested();
  auto until = std::chrono::steady_clock::now() + delay;
  bool late = request.deadline && *request.deadline < until;
  bool undisturbed = co_await net::sleep_until(late ? *request.deadline : until, request.cancel);
  co_return undisturbed && !late;
}

}  // namespace

Awaitable<Result<Reply>> ScriptedModel::generate(const Request& request, EventSink sink) {
  double start = wall_seconds();
  ScriptedTurn turn;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (turns_.empty()) co_return fail(Code::kUnavailable, "{}: the script has ended", name_);
    turn = std::move(turns_.front());
    turns_.pop_front();
  }
  Reply reply;
  auto delay = turn.delay;
  for (std::string& part : turn.parts) {
    bool waited = co_await wait_for(delay, request);
    if (!waited) co_return fail(Code::kCancelled, "{}: cancelled", name_);
    delay = turn.part_delay;
    reply.text += part;
    bool more = true;
    if (sink) more = co_await sink(TextDelta{std::move(part)});
    if (!more) co_return fail(Code::kCancelled, "{}: the sink stopped the answer", name_);
  }
  if (turn.parts.empty()) {
    bool waited = co_await wait_for(delay, request);
    if (!waited) co_return fail(Code::kCancelled, "{}: cancelled", name_);
  }
  for (uint32_t i = 0; sink && i < turn.tool_calls.size(); ++i) {
    const ToolCall& call = turn.tool_calls[i];
    bool more = co_await sink(ToolCallDelta{i, call.id, call.name, call.arguments});
    if (!more) co_return fail(Code::kCancelled, "{}: the sink stopped the answer", name_);
  }
  if (turn.error) co_return std::unexpected(std::move(*turn.error));
  if (!turn.tool_calls.empty()) reply.finish_reason = "tool_calls";
  reply.tool_calls = std::move(turn.tool_calls);
  reply.logprobs = std::move(turn.logprobs);
  reply.usage = turn.usage;
  reply.answered_by = name_;
  reply.confidence = turn.confidence;
  reply.choice_shares = std::move(turn.choice_shares);
  reply.cost = turn.cost;
  Step step;
  step.model = name_;
  step.usage = turn.usage;
  step.cost = turn.cost;
  step.seconds = wall_seconds() - start;
  step.confidence = turn.confidence;
  reply.steps.push_back(std::move(step));
  co_return reply;
}

}  // namespace bantam::chat
