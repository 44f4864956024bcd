#pragma once
// Name look-up that keeps to a time limit. Internal to net.

#include <sys/socket.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/awaitable.h"

namespace bantam::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// The addresses of `host` in the system's order of preference. Errors: kUnavailable (no such name, no answer
/// in time), kCancelled.
Awaitable<Result<std::vector<SocketAddress>>> resolve(std::string host, uint16_t port,
                                                      std::chrono::steady_clock::time_point until,
                                                      std::stop_token cancel);

}  // namespace bantam::net
