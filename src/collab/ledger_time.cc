// The small change of the ledger: money, days, random names.

#include <openssl/rand.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>

#include "collab/ledger.h"

namespace bantam::collab {

Nano to_nano(double money) {
  if (!(money > 0)) return 0;
  double nano = money * 1e9;
  // Prices are decimal, so a sum lands a hair beside the whole billionth that is meant.
  double rounded = std::round(nano);
  if (std::abs(nano - rounded) > 1e-6 * std::max(1.0, rounded * 1e-9)) rounded = std::ceil(nano);
  constexpr double kMost = 9.2e18;
  return rounded >= kMost ? std::numeric_limits<Nano>::max() / 4 : static_cast<Nano>(rounded);
}

double from_nano(Nano nano) { return static_cast<double>(nano) * 1e-9; }

std::string utc_day(int64_t microseconds) {
  std::time_t seconds = microseconds / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

int64_t now_microseconds() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

Result<std::string> random_id() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return fail(Code::kIo, "the system gives no random numbers");
  std::string out;
  for (unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string Refusal::message(const std::string& day) const {
  int64_t left = std::max<int64_t>(0, limit - charged);
  if (what == "money")
    return fmt::format("budget: {} has {:.6g} of {:.6g} left for {} (UTC), and {:.6g} is needed", scope,
                       from_nano(left), from_nano(limit), day, from_nano(wanted));
  return fmt::format("budget: {} has {} of {} {} left for {} (UTC)", scope, left, limit, what, day);
}

}  // namespace bantam::collab
