#pragma once
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>

#include "net/awaitable.h"

namespace bantam::net {

/// A flag that any thread raises and one coroutine waits for. Lives in that coroutine's frame; whoever may
/// call set() from elsewhere has to be kept from doing so after its end (std::stop_callback does that by
/// itself).
class AsyncEvent {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// `executor` is the one the coroutine runs on, which has one thread.
  explicit AsyncEvent(boost::asio::any_io_executor executor);
  AsyncEvent(const AsyncEvent&) = delete;
  AsyncEvent& operator=(const AsyncEvent&) = delete;
  ~AsyncEvent();

  /// Safe from any thread.
  void set();
  /// Waits for the flag and takes it down. False: `until` came first.
  Awaitable<bool> wait(std::optional<TimePoint> until = {});

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Waits for a point in time; false when the stop came first.
Awaitable<bool> sleep_until(std::chrono::steady_clock::time_point until, std::stop_token stop);

}  // namespace bantam::net
