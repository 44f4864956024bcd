#include "chat/cancel_scope.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace bantam::chat {
namespace {

using TimePoint = CancelScope::TimePoint;

/// Stops the sources that are still registered when their time comes.
class DeadlineClock {
 public:
  static DeadlineClock& instance() {
    static DeadlineClock clock;
    return clock;
  }

  void add(const CancelScope* scope, TimePoint when, std::stop_source source) {
    std::lock_guard lock(mutex_);
    waiting_.emplace(std::pair(when, scope), std::move(source));
    changed_.notify_one();
  }
  void remove(const CancelScope* scope, TimePoint when) {
    std::lock_guard lock(mutex_);
    waiting_.erase({when, scope});
  }

 private:
  DeadlineClock() : thread_([this](std::stop_token stop) { run(stop); }) {}

  void run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      if (waiting_.empty()) {
        changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
        continue;
      }
      auto first = waiting_.begin();
      TimePoint when = first->first.first;
      if (std::chrono::steady_clock::now() < when) {
        changed_.wait_until(lock, stop, when,
                            [&] { return waiting_.empty() || waiting_.begin()->first.first < when; });
        continue;
      }
      std::stop_source due = std::move(first->second);
      waiting_.erase(first);
      lock.unlock();  // what a stop calls may take its time
      due.request_stop();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::pair<TimePoint, const CancelScope*>, std::stop_source> waiting_;
  std::jthread thread_;  // last, so that it ends before what it uses
};

}  // namespace

CancelScope::CancelScope(std::stop_token parent, std::optional<TimePoint> deadline)
    : parent_(parent),
      deadline_(deadline),
      on_parent_(parent, [source = source_]() mutable { source.request_stop(); }) {
  if (deadline_) DeadlineClock::instance().add(this, *deadline_, source_);
}

CancelScope::~CancelScope() {
  if (deadline_) DeadlineClock::instance().remove(this, *deadline_);
}

std::unexpected<Error> CancelScope::error(std::string_view who) const {
  if (!parent_.stop_requested() && deadline_ && std::chrono::steady_clock::now() >= *deadline_) {
    return fail(Code::kCancelled, "{}: the deadline passed", who);
  }
  return fail(Code::kCancelled, "{}: cancelled", who);
}

}  // namespace bantam::chat
