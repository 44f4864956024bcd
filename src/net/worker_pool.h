#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bantam::net {

/// A fixed number of threads that take jobs from a queue of bounded length: what does not fit is refused,
/// never piled up.
class WorkerPool {
 public:
  using Job = std::move_only_function<void()>;

  /// At least one thread. `max_queue` jobs may wait beside those that run.
  WorkerPool(unsigned threads, size_t max_queue);
  /// Runs the jobs that wait, then joins the threads.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False, with `job` not run, when every thread is busy and the queue is full. A job must not throw.
  bool try_post(Job job);
  struct Load {
    size_t busy = 0, queued = 0;
  };
  Load load() const;

 private:
  void work();
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  size_t max_queue_, busy_ = 0;
  bool stop_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace bantam::net
