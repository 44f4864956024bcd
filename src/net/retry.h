#pragma once
// When to ask a server again.

#include <chrono>
#include <optional>
#include <stop_token>

#include "base/rng.h"
#include "net/awaitable.h"
#include "net/http.h"

namespace bantam::net {

/// True for 408, 409, 429 and 5xx, unless the answer's x-should-retry says otherwise.
bool should_retry(int status, const Headers& headers);
/// The pause an answer asks for: retry-after-ms, or retry-after in seconds or as a date; nullopt when it asks
/// for none.
std::optional<std::chrono::milliseconds> asked_pause(const Headers& headers);
/// `first` doubled with each attempt (from 0) up to `longest`, of which up to a quarter is taken off at random,
/// so that clients that failed together do not come back together.
std::chrono::milliseconds backoff(unsigned attempt, Rng& rng,
                                  std::chrono::milliseconds first = std::chrono::milliseconds(500),
                                  std::chrono::milliseconds longest = std::chrono::milliseconds(8'000));
/// False when the stop or the deadline came first (then it returns at once where the pause could not end
/// before the deadline).
Awaitable<bool> pause_for(std::chrono::milliseconds pause, std::stop_token stop,
                          std::optional<std::chrono::steady_clock::time_point> deadline);

}  // namespace bantam::net
