#include "net/retry.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "net/async_event.h"

namespace bantam::net {
namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0)
    return std::nullopt;
  return value;
}

std::chrono::milliseconds milliseconds(double value) {
  return std::chrono::milliseconds(static_cast<int64_t>(std::min(value, 1e12)));
}

}  // namespace

bool should_retry(int status, const Headers& headers) {
  if (auto wish = headers.get("x-should-retry")) {
    if (*wish == "true") return true;
    if (*wish == "false") return false;
  }
  return status == 408 || status == 409 || status == 429 || status >= 500;
}

std::optional<std::chrono::milliseconds> asked_pause(const Headers& headers) {
  if (auto ms = headers.get("retry-after-ms")) {
    if (auto value = number(*ms)) return milliseconds(*value);
  }
  auto after = headers.get("retry-after");
  if (!after) return std::nullopt;
  if (auto seconds = number(*after)) return milliseconds(*seconds * 1000);
  std::tm date{};
  if (!::strptime(std::string(*after).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date)) return std::nullopt;
  return milliseconds(std::max(0.0, std::difftime(::timegm(&date), std::time(nullptr))) * 1000);
}

std::chrono::milliseconds backoff(unsigned attempt, Rng& rng, std::chrono::milliseconds first,
                                  std::chrono::milliseconds longest) {
  const double pause = std::min(static_cast<double>(longest.count()),
                                static_cast<double>(first.count()) * std::exp2(std::min(attempt, 30U)));
  return milliseconds(pause * (1 - 0.25 * rng.uniform()));
}

Awaitable<bool> pause_for(std::chrono::milliseconds pause, std::stop_token stop,
                          std::optional<std::chrono::steady_clock::time_point> deadline) {
  auto until = std::chrono::steady_clock::now() + pause;
  if (deadline && *deadline <= until) co_return false;
  co_return co_await sleep_until(until, stop);
}

}  // namespace bantam::net
