#include "base/thread_pool.h"

#include <algorithm>

namespace bantam {

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned index = 1; index < threads; ++index) workers_.emplace_back([this, index] { work(index); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& fn) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  if (workers_.empty() || n <= grain) return fn(0, n);
  std::lock_guard turn(turn_);
  const size_t even = (n + size() - 1) / size();
  {
    std::lock_guard lock(mutex_);
    fn_ = &fn;
    n_ = n;
    chunk_ = (std::max(even, grain) + grain - 1) / grain * grain;
    pending_ = static_cast<unsigned>(workers_.size());
    ++round_;
  }
  start_.notify_all();
  fn(0, std::min(chunk_, n));
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return pending_ == 0; });
  fn_ = nullptr;
}

void ThreadPool::work(unsigned index) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    const auto* fn = fn_;
    const size_t begin = std::min(n_, index * chunk_), end = std::min(n_, begin + chunk_);
    lock.unlock();
    if (begin < end) (*fn)(begin, end);
    lock.lock();
    if (--pending_ == 0) finished_.notify_one();
  }
}

}  // namespace bantam
