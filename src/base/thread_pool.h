#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bantam {

/// A fixed set of threads that run one parallel loop at a time. The calling thread takes part, so
/// ThreadPool(1) starts none. Idle threads sleep (they do not spin): a busy neighbour on the machine costs
/// little.
class ThreadPool {
 public:
  /// threads = 0 means one per hardware thread.
  explicit ThreadPool(unsigned threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }
  /// Calls fn(begin, end) on disjoint ranges that cover [0, n), each at least `grain` long (the last may be
  /// shorter), and returns when all are done. The split depends only on n, grain and size(). Calls from
  /// several threads take turns.
  void parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& fn);

 private:
  void work(unsigned index);
  std::mutex turn_;  // held by the caller whose loop runs
  std::mutex mutex_;
  std::condition_variable start_, finished_;
  std::vector<std::thread> workers_;
  const std::function<void(size_t, size_t)>* fn_ = nullptr;
  size_t n_ = 0, chunk_ = 0;
  unsigned pending_ = 0;
  uint64_t round_ = 0;
  bool stop_ = false;
};

}  // namespace bantam
