#include "net/worker_pool.h"

#include <algorithm>
#include <utility>

namespace bantam::net {

WorkerPool::WorkerPool(unsigned threads, size_t max_queue) : max_queue_(max_queue) {
  for (unsigned i = 0; i < std::max(1U, threads); ++i) threads_.emplace_back([this] { work(); });
}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  threads_.clear();
}

bool WorkerPool::try_post(Job job) {
  {
    std::lock_guard lock(mutex_);
    // A thread that is not busy takes one of the queued jobs, so those count against it before they count as
    // waiting.
    if (busy_ + queue_.size() >= threads_.size() + max_queue_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

WorkerPool::Load WorkerPool::load() const {
  std::lock_guard lock(mutex_);
  return {busy_, queue_.size()};
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    job();
    job = nullptr;  // what it holds goes before it counts as done
    lock.lock();
    --busy_;
  }
}

}  // namespace bantam::net
