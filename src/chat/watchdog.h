#pragma once
#include <chrono>
#include <stop_token>
#include <utility>

#include "chat/awaitable.h"
#include "net/time_limit.h"

namespace bantam::chat {

/// A stop token that fires with its parent, or when nothing was heard in time. Lives in a coroutine's frame
/// and is for its thread; the parent may fire on any. Internal to chat.
class Watchdog {
 public:
  Watchdog(const asio::any_io_executor& executor, std::stop_token parent)
      : timer_(executor,
               [this] {
                 fired_ = true;
                 source_.request_stop();
               }),
        on_parent_(std::move(parent), Stop{source_}) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  /// From now on; takes the place of the limit before.
  void arm(std::chrono::milliseconds limit) {
    limit_ = limit;
    timer_.set(net::TimeLimit::Clock::now() + limit);
  }
  void disarm() { timer_.lift(); }
  /// It was the time, not the parent.
  bool fired() const { return fired_; }
  std::chrono::milliseconds limit() const { return limit_; }

 private:
  struct Stop {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };
  std::stop_source source_;
  std::chrono::milliseconds limit_{0};
  bool fired_ = false;
  net::TimeLimit timer_;
  std::stop_callback<Stop> on_parent_;
};

}  // namespace bantam::chat
