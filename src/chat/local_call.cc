#include "chat/local_call.h"

#include <utility>

namespace bantam::chat {
namespace {

constexpr size_t kHighWater = 16 << 10;  // bytes of text that may wait for a slow reader

}  // namespace

/// Under the lock.
void LocalCall::add(Event event) {
  if (auto* call = std::get_if<ToolCallDelta>(&event)) {
    bytes_ += call->arguments.size();
    logprobs_.clear();
    auto* last = events_.empty() ? nullptr : std::get_if<ToolCallDelta>(&events_.back());
    if (last && last->index == call->index && call->id.empty() && !last->arguments.empty())
      last->arguments += call->arguments;
    else
      events_.push_back(std::move(event));
    return;
  }
  auto* text = std::get_if<TextDelta>(&event);
  if (!text || text->text.empty()) return;
  bytes_ += text->text.size();
  auto* last = events_.empty() ? nullptr : std::get_if<TextDelta>(&events_.back());
  if (!last) {
    events_.push_back(std::move(event));
    last = std::get_if<TextDelta>(&events_.back());
  } else {
    last->text += text->text;
  }
  last->logprobs.insert(last->logprobs.end(), logprobs_.begin(), logprobs_.end());
  logprobs_.clear();
}

bool LocalCall::put(std::string_view text) {
  if (wanted_) {
    std::lock_guard lock(mutex_);
    add(TextDelta(std::string(text)));
    if (listener_) listener_->set();
  }
  return !stop_.stop_requested();
}

bool LocalCall::put(std::vector<Event> events) {
  if (wanted_ && !events.empty()) {
    std::lock_guard lock(mutex_);
    for (Event& event : events) add(std::move(event));
    if (listener_) listener_->set();
  }
  return !stop_.stop_requested();
}

void LocalCall::put(TokenLogprob token) {
  if (!wanted_) return;
  std::lock_guard lock(mutex_);
  logprobs_.push_back(std::move(token));
}

bool LocalCall::full() const {
  std::lock_guard lock(mutex_);
  return bytes_ >= kHighWater;
}

void LocalCall::finish(Result<Reply> result) {
  std::lock_guard lock(mutex_);
  result_ = std::move(result);
  if (listener_) listener_->set();
}

LocalCall::Part LocalCall::take() {
  Part out;
  {
    std::lock_guard lock(mutex_);
    out.events = std::exchange(events_, {});
    bytes_ = 0;
    out.done = out.events.empty() && result_;
    // The end comes with no event of its own after the last text.
    if (!out.events.empty() && result_ && listener_) listener_->set();
  }
  return out;
}

LocalCall::Listener::Listener(LocalCall& call, asio::any_io_executor executor)
    : call_(call), event_(std::move(executor)), on_stop_(call.stop_, [this] { event_.set(); }) {
  std::lock_guard lock(call_.mutex_);
  call_.listener_ = &event_;
}

LocalCall::Listener::~Listener() {
  std::lock_guard lock(call_.mutex_);
  call_.listener_ = nullptr;
}

}  // namespace bantam::chat
