#include "chat/local_call.h"

#include <utility>

namespace bantam::chat {
namespace {

constexpr size_t kHighWater = 16 << 10;  // bytes of text that may wait for a slow reader

}  // namespace

bool LocalCall::put(std::string_view text) {
  if (wanted_) {
    std::lock_guard lock(mutex_);
    text_.append(text);
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
  return text_.size() >= kHighWater;
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
    out.text = std::exchange(text_, {});
    if (!out.text.empty()) out.logprobs = std::exchange(logprobs_, {});
    out.done = out.text.empty() && result_;
    // The end comes with no event of its own after the last text.
    if (!out.text.empty() && result_ && listener_) listener_->set();
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
