#pragma once
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>

#include "chat/awaitable.h"

namespace bantam::chat {

/// A stop token that fires with its parent, or when nothing was heard in time. Lives in a coroutine's frame and is
/// for its thread; the parent may fire on any. Internal to chat.
class Watchdog {
 public:
  Watchdog(asio::any_io_executor executor, std::stop_token parent)
      : state_(std::make_shared<State>(std::move(executor))),
        on_parent_(std::move(parent), [source = state_->source]() mutable { source.request_stop(); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { disarm(); }

  std::stop_token token() const { return state_->source.get_token(); }
  /// From now on; takes the place of the limit before.
  void arm(std::chrono::milliseconds limit) {
    state_->limit = limit;
    state_->timer.expires_after(limit);
    state_->timer.async_wait([weak = std::weak_ptr(state_)](boost::system::error_code ec) {
      auto state = ec ? nullptr : weak.lock();
      if (!state) return;
      state->fired = true;
      state->source.request_stop();
    });
  }
  void disarm() { state_->timer.cancel(); }
  /// It was the time, not the parent.
  bool fired() const { return state_->fired; }
  std::chrono::milliseconds limit() const { return state_->limit; }

 private:
  struct State {
    explicit State(asio::any_io_executor executor) : timer(std::move(executor)) {}
    asio::steady_timer timer;
    std::stop_source source;
    std::chrono::milliseconds limit{0};
    bool fired = false;
  };
  std::shared_ptr<State> state_;
  std::stop_callback<std::function<void()>> on_parent_;
};

}  // namespace bantam::chat
