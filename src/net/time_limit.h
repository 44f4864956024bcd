#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <map>

namespace bantam::net {

class TimeLimits;

/// Calls back once a point in time has passed. Setting and lifting one are a store or a step in a tree: all
/// of an io_context share one timer, and a limit that moves on or is lifted stays where it is until that
/// timer comes by. For the one thread of its io_context; a limit that is set keeps the io_context at work.
class TimeLimit {
 public:
  using Clock = std::chrono::steady_clock;
  /// `on_passed` may set the limit anew, and must not destroy it.
  TimeLimit(const boost::asio::any_io_executor& executor, std::move_only_function<void()> on_passed);
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit();

  /// Takes the place of the one before. One in the past passes as soon as the event loop goes on.
  void set(Clock::time_point due);
  void lift();

 private:
  friend class TimeLimits;
  using Queue = std::multimap<Clock::time_point, TimeLimit*>;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  TimeLimits& limits_;
  std::move_only_function<void()> on_passed_;
  Clock::time_point due_ = kNever;
  bool queued_ = false;
  Queue::iterator place_;  // while queued_; never later than due_
};

}  // namespace bantam::net
