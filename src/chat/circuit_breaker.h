#pragma once
#include <chrono>
#include <mutex>
#include <utility>

#include "base/result.h"

namespace bantam::chat {

struct BreakerOptions {
  unsigned failures = 5;  // in a row, until no more calls are made; 0: calls are always made
  std::chrono::milliseconds pause{30'000};  // then one call is tried
};

/// Keeps calls from a side that fails: closed (calls are made), open (none are, for the pause), half-open (one
/// is, and decides). Safe to use from many threads.
class CircuitBreaker {
 public:
  using Clock = std::chrono::steady_clock;
  enum class State { kClosed, kOpen, kHalfOpen };
  explicit CircuitBreaker(BreakerOptions options) : options_(options) {}

  /// The right to make a call, and the place to say how it went; without a word it counts as neither.
  class Permit {
   public:
    Permit(CircuitBreaker& breaker, bool trial) : breaker_(&breaker), trial_(trial) {}
    Permit(Permit&& other) noexcept : breaker_(std::exchange(other.breaker_, nullptr)), trial_(other.trial_) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (breaker_) breaker_->leave(trial_, 0);
    }
    void succeeded() { std::exchange(breaker_, nullptr)->leave(trial_, 1); }
    void failed() { std::exchange(breaker_, nullptr)->leave(trial_, -1); }

   private:
    CircuitBreaker* breaker_;
    bool trial_;
  };
  /// Errors: kUnavailable, with the time until the next trial.
  Result<Permit> enter();
  State state() const;

 private:
  void leave(bool trial, int outcome);
  const BreakerOptions options_;
  mutable std::mutex mutex_;
  State state_ = State::kClosed;
  unsigned failures_ = 0;  // in a row
  bool trying_ = false;    // half-open, and its one call is being made
  Clock::time_point until_;
};

}  // namespace bantam::chat
