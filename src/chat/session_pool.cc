#include "chat/session_pool.h"

#include <algorithm>
#include <utility>

namespace bantam::chat {

SessionPool::~SessionPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<uint64_t> SessionPool::post(Job job) {
  std::lock_guard lock(mutex_);
  if (running_ + queue_.size() >= limit_ + max_waiting_) {
    return fail(Code::kBusy, "{} requests are in work and {} wait, which is as many as may", running_,
                queue_.size());
  }
  queue_.push_back({next_ticket_, std::move(job)});
  if (threads_.size() < limit_ && running_ + queue_.size() > threads_.size()) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::exception& e) {
      // The threads there are will get to it.
      if (threads_.empty()) {
        queue_.pop_back();
        return fail(Code::kInternal, "cannot start a thread: {}", e.what());
      }
    }
  }
  arrived_.notify_one();
  return next_ticket_++;
}

void SessionPool::withdraw(uint64_t ticket) {
  Job job;  // goes after the lock
  std::lock_guard lock(mutex_);
  auto it = std::find_if(queue_.begin(), queue_.end(), [&](const Waiting& w) { return w.ticket == ticket; });
  if (it == queue_.end()) return;
  job = std::move(it->job);
  queue_.erase(it);
}

ModelLoad SessionPool::load() const {
  std::lock_guard lock(mutex_);
  return {running_, queue_.size()};
}

void SessionPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    Job job = std::move(queue_.front().job);
    queue_.pop_front();
    ++running_;
    std::unique_ptr<runtime::Session> session;
    if (!idle_.empty()) {
      session = std::move(idle_.back());
      idle_.pop_back();
    }
    lock.unlock();
    Result<runtime::Session*> given = session.get();
    if (!session) {
      auto made = engine_->new_session();
      if (made) session = std::move(*made);
      given = made ? Result<runtime::Session*>(session.get()) : std::unexpected(std::move(made).error());
    }
    job(std::move(given));
    job = {};
    lock.lock();
    --running_;
    if (session) idle_.push_back(std::move(session));
  }
}

}  // namespace bantam::chat
