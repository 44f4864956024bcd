#include "chat/circuit_breaker.h"

namespace bantam::chat {

Result<CircuitBreaker::Permit> CircuitBreaker::enter() {
  std::lock_guard lock(mutex_);
  if (state_ == State::kClosed) return Permit(*this, false);
  auto now = Clock::now();
  if (state_ == State::kOpen && now >= until_) state_ = State::kHalfOpen;
  if (state_ == State::kHalfOpen && !trying_) {
    trying_ = true;
    return Permit(*this, true);
  }
  if (state_ == State::kHalfOpen)
    return fail(Code::kUnavailable, "not called: after {} failures in a row one call is being tried",
                failures_);
  return fail(Code::kUnavailable, "not called: after {} failures in a row the next try is in {} ms",
              failures_, std::chrono::ceil<std::chrono::milliseconds>(until_ - now).count());
}

CircuitBreaker::State CircuitBreaker::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void CircuitBreaker::leave(bool trial, int outcome) {
  std::lock_guard lock(mutex_);
  if (trial) trying_ = false;
  // Calls that began before it opened say nothing of the present.
  if (outcome == 0 || (!trial && state_ != State::kClosed)) return;
  if (outcome > 0) {
    failures_ = 0;
    state_ = State::kClosed;
    return;
  }
  ++failures_;
  if (options_.failures == 0 || (!trial && failures_ < options_.failures)) return;
  state_ = State::kOpen;
  until_ = Clock::now() + options_.pause;
}

}  // namespace bantam::chat
