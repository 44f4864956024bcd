#include "chat/spend_guard.h"

#include <algorithm>

namespace bantam::chat {
namespace {

constexpr size_t kMaxRequests = 10'000;  // whose calls are remembered

}  // namespace

Status SpendGuard::check(const Spent& spent, double more, std::optional<uint64_t> calls,
                         std::optional<double> money, std::string_view what) {
  if (calls && spent.calls >= *calls) {
    return fail(Code::kUnavailable, "not called: max_calls_per_{} is {}, and that many were made", what,
                *calls);
  }
  if (money && spent.money + more > *money) {
    return fail(
        Code::kUnavailable,
        "not called: max_cost_per_{} is {:.6g}, {:.6g} are spent or set aside and this call may cost {:.6g}",
        what, *money, spent.money, more);
  }
  return {};
}

Result<SpendGuard::Reserved> SpendGuard::reserve(const std::string& request, double worst) {
  std::lock_guard lock(mutex_);
  int64_t today = this->today();
  if (std::exchange(day_, today) != today) of_day_ = {};
  auto found = request.empty() ? of_request_.end() : of_request_.find(request);
  Spent before = found == of_request_.end() ? Spent{} : found->second;
  BANTAM_TRY(check(before, worst, limits_.calls_per_request, limits_.money_per_request, "request"));
  BANTAM_TRY(check(of_day_, worst, limits_.calls_per_day, limits_.money_per_day, "day"));
  of_day_ = {of_day_.calls + 1, of_day_.money + worst};
  if (!request.empty() && (limits_.calls_per_request || limits_.money_per_request)) {
    if (found == of_request_.end()) {
      requests_.push_back(request);
      if (requests_.size() > kMaxRequests) {
        of_request_.erase(requests_.front());
        requests_.pop_front();
      }
    }
    of_request_[request] = {before.calls + 1, before.money + worst};
  }
  return Reserved{request, worst, today};
}

void SpendGuard::settle(const Reserved& reserved, double money, bool made) {
  std::lock_guard lock(mutex_);
  auto correct = [&](Spent& spent) {
    spent.money = std::max(0.0, spent.money + money - reserved.money);
    if (!made) --spent.calls;
  };
  if (reserved.day == day_) correct(of_day_);
  if (auto found = of_request_.find(reserved.request); found != of_request_.end()) correct(found->second);
}

}  // namespace bantam::chat
