#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "base/result.h"

namespace bantam::chat {

/// A stop token that fires with its parent or when a deadline passes, whichever comes first. All scopes of a
/// process share one thread that waits for their deadlines. Internal to chat.
class CancelScope {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  CancelScope(std::stop_token parent, std::optional<TimePoint> deadline);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  void stop() { source_.request_stop(); }
  /// What to tell a caller whose work this stopped: kCancelled, "… : cancelled" or "… : the deadline passed".
  std::unexpected<Error> error(std::string_view who) const;

 private:
  std::stop_source source_;
  std::stop_token parent_;
  std::optional<TimePoint> deadline_;
  std::stop_callback<std::function<void()>> on_parent_;
};

}  // namespace bantam::chat
