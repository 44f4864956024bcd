#pragma once
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.h"

namespace bantam::chat {

/// What may be asked of one remote model. Money is in the config's currency; a day is one of UTC.
struct SpendLimits {
  std::optional<uint64_t> calls_per_request, calls_per_day;
  std::optional<double> money_per_request, money_per_day;
  bool money() const { return money_per_request || money_per_day; }
};

/// Holds calls to the limits: each is counted with the most it can cost before it is made, and corrected by what
/// it did cost. Exact under concurrency. The counts are this process's own and begin anew with it. Safe to use
/// from many threads.
class SpendGuard {
 public:
  explicit SpendGuard(SpendLimits limits, std::function<std::time_t()> now = [] { return std::time(nullptr); })
      : limits_(limits), now_(std::move(now)) {}

  /// What was set aside for a call. Unless settled it stays spent: the call may have been billed.
  struct Reserved {
    std::string request;
    double money = 0;
    int64_t day = 0;
  };
  /// `request`: the id that calls of one request share; empty: this call is one by itself. Errors: kUnavailable
  /// naming the limit, its value and what was asked.
  Result<Reserved> reserve(const std::string& request, double worst);
  /// The call cost `money`; `made` is false for one that never reached the other side.
  void settle(const Reserved& reserved, double money, bool made = true);

 private:
  struct Spent {
    uint64_t calls = 0;
    double money = 0;
  };
  static Status check(const Spent& spent, double more, std::optional<uint64_t> calls,
                      std::optional<double> money, std::string_view what);
  int64_t today() const { return static_cast<int64_t>(now_() / 86'400); }

  const SpendLimits limits_;
  const std::function<std::time_t()> now_;
  std::mutex mutex_;
  int64_t day_ = 0;
  Spent of_day_;
  std::unordered_map<std::string, Spent> of_request_;
  std::deque<std::string> requests_;  // in order of arrival; the oldest are forgotten
};

}  // namespace bantam::chat
