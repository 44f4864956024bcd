#include "net/time_limit.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace bantam::net {

namespace asio = boost::asio;
using Clock = TimeLimit::Clock;

/// The limits of one io_context, in the order in which they are to be looked at.
class TimeLimits final : public asio::execution_context::service {
 public:
  using key_type = TimeLimits;
  inline static asio::execution_context::id id;

  explicit TimeLimits(asio::execution_context& context)
      : service(context), timer_(static_cast<asio::io_context&>(context)) {}

  static TimeLimits& of(const asio::any_io_executor& executor) {
    return asio::use_service<TimeLimits>(asio::query(executor, asio::execution::context));
  }

  void set(TimeLimit& limit, Clock::time_point due) {
    if (limit.due_ == TimeLimit::kNever) ++count_;
    limit.due_ = due;
    if (limit.queued_ && limit.place_->first <= due) return wait();
    if (limit.queued_) {
      auto node = queue_.extract(limit.place_);
      node.key() = due;
      limit.place_ = queue_.insert(std::move(node));
    } else {
      limit.place_ = queue_.emplace(due, &limit);
      limit.queued_ = true;
    }
    wait();
  }

  void lift(TimeLimit& limit) {
    if (std::exchange(limit.due_, TimeLimit::kNever) == TimeLimit::kNever) return;
    // An io_context ends when nothing waits any more, and a limit of nobody must not keep it.
    if (--count_ == 0) stop();
  }

  void remove(TimeLimit& limit) {
    lift(limit);
    if (std::exchange(limit.queued_, false)) queue_.erase(limit.place_);
  }

 private:
  void shutdown() noexcept override {
    stop();
    ended_ = true;
  }

  void stop() {
    if (ended_) return;
    waits_until_ = TimeLimit::kNever;
    timer_.cancel();
  }

  /// Makes the timer come no later than the first limit.
  void wait() {
    if (ended_ || count_ == 0 || queue_.begin()->first >= waits_until_) return;
    waits_until_ = queue_.begin()->first;
    timer_.expires_at(waits_until_);
    timer_.async_wait([this](boost::system::error_code ec) {
      if (!ec) look();
    });
  }

  void look() {
    waits_until_ = TimeLimit::kNever;
    const auto now = Clock::now();
    while (!queue_.empty() && queue_.begin()->first <= now) {
      TimeLimit& limit = *queue_.begin()->second;
      auto node = queue_.extract(queue_.begin());
      limit.queued_ = false;
      if (limit.due_ == TimeLimit::kNever) continue;
      if (limit.due_ > now) {
        node.key() = limit.due_;
        limit.place_ = queue_.insert(std::move(node));
        limit.queued_ = true;
        continue;
      }
      limit.due_ = TimeLimit::kNever;
      --count_;
      limit.on_passed_();
    }
    wait();
  }

  TimeLimit::Queue queue_;
  size_t count_ = 0;  // limits that are set
  Clock::time_point waits_until_ = TimeLimit::kNever;
  bool ended_ = false;
  asio::steady_timer timer_;
};

TimeLimit::TimeLimit(const asio::any_io_executor& executor, std::move_only_function<void()> on_passed)
    : limits_(TimeLimits::of(executor)), on_passed_(std::move(on_passed)) {}

TimeLimit::~TimeLimit() { limits_.remove(*this); }

void TimeLimit::set(Clock::time_point due) { limits_.set(*this, due); }
void TimeLimit::lift() { limits_.lift(*this); }

}  // namespace bantam::net
