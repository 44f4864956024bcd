#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bantam {

/// A fixed set of threads that run one parallel loop at a time. The calling thread takes part, so
/// ThreadPool(1) starts none. The loop's parts are taken by whoever is free, so that a thread that the system
/// has put aside holds up no more than the part it is in. A thread without work looks for more during some
/// microseconds, then sleeps: an idle pool takes no processor time. Where others want the processors too,
/// the caller notices that it waits in vain, and goes on alone for a while.
class ThreadPool {
 public:
  /// threads = 0 means one per hardware thread.
  explicit ThreadPool(unsigned threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }
  /// Calls fn(begin, end) on disjoint ranges that cover [0, n), each at least `grain` long (the last may be
  /// shorter), and returns when all are done. Where the ranges begin depends only on n, grain and size(), who
  /// takes which on the moment. Calls from several threads take turns.
  void parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& fn);

 private:
  using Clock = std::chrono::steady_clock;

  void work();
  bool run_one();
  bool look_for_work(uint64_t seen);
  void sleep(uint64_t seen);
  Clock::duration worked_since(const std::vector<Clock::duration>& before, std::vector<Clock::duration>& now);
  void wait_for_others(unsigned parts);
  void give_up_for_a_while(Clock::time_point now);

  std::mutex turn_;  // held by the caller whose loop runs
  std::vector<std::thread> workers_;

  // The loop that runs: who has a part of it may read these.
  const std::function<void(size_t, size_t)>* fn_ = nullptr;
  size_t n_ = 0, part_ = 0;
  // round << 32 | parts << 16 | the next part; parts are given out by adding 1.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<unsigned> done_{0};
  std::atomic<bool> caller_sleeps_{false};

  alignas(64) std::mutex mutex_;  // of those that sleep
  std::condition_variable start_, finished_;
  std::atomic<unsigned> sleepers_{0};
  std::atomic<bool> stop_{false};

  // The caller's, under turn_.
  uint64_t round_ = 0;
  Clock::time_point alone_until_{};
  Clock::duration alone_for_{};
  unsigned good_rounds_ = 0;
  std::vector<Clock::duration> before_, after_;  // processor time of each worker
};

}  // namespace bantam
