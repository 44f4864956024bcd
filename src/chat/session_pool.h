#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "chat/chat_model.h"
#include "runtime/engine.h"

namespace bantam::chat {

/// Threads that compute, each job with a session of its own while it runs. At most `limit` run at once; sessions
/// and threads are made as they are needed. The session used last is lent first, because its cache is the
/// likeliest to hold the beginning of the next prompt. Safe to use from many threads. Internal to chat.
class SessionPool {
 public:
  /// Gets a session, or why there is none (the errors of Engine::new_session).
  using Job = std::function<void(Result<runtime::Session*> session)>;

  SessionPool(std::shared_ptr<const runtime::Engine> engine, size_t limit, size_t max_waiting)
      : engine_(std::move(engine)), limit_(limit), max_waiting_(max_waiting) {}
  /// Waits for the jobs that run; those that wait are dropped.
  ~SessionPool();

  /// Puts a job in the queue. Returns its ticket. Errors: kBusy when `max_waiting` wait already.
  Result<uint64_t> post(Job job);
  /// Takes a job that has not begun out of the queue.
  void withdraw(uint64_t ticket);
  ModelLoad load() const;

 private:
  struct Waiting {
    uint64_t ticket;
    Job job;
  };
  void work();

  std::shared_ptr<const runtime::Engine> engine_;
  const size_t limit_, max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Waiting> queue_;
  std::vector<std::unique_ptr<runtime::Session>> idle_;
  std::vector<std::thread> threads_;
  size_t running_ = 0;
  uint64_t next_ticket_ = 0;
  bool stop_ = false;
};

}  // namespace bantam::chat
