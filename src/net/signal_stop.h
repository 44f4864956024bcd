#pragma once
#include <stop_token>
#include <thread>

#include "base/result.h"

namespace bantam::net {

/// Turns the first SIGTERM or SIGINT into a stop request, so that a program can finish what it has begun; a
/// second one ends the process as it would have without this. The former handlers return when the object
/// goes. One object at a time in a process.
class SignalStop {
 public:
  /// Errors: kInvalidArgument when there is one already; kIo.
  static Result<SignalStop> install();
  SignalStop(SignalStop&& other) noexcept;
  SignalStop& operator=(SignalStop&&) = delete;
  ~SignalStop();

  std::stop_token token() const { return source_.get_token(); }

 private:
  SignalStop() = default;
  std::stop_source source_;
  std::thread thread_;
  bool installed_ = false;
};

}  // namespace bantam::net
