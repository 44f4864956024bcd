#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "runtime/engine.h"

namespace bantam::chat {

/// At most `limit` sessions of an engine, made as they are needed and lent to one caller at a time. The one
/// returned last is lent first, because its cache is the likeliest to hold the beginning of the next prompt.
/// Internal to chat.
class SessionPool {
 public:
  SessionPool(std::shared_ptr<const runtime::Engine> engine, size_t limit)
      : engine_(std::move(engine)), limit_(limit) {}

  /// Gives the session back at its end.
  class Loan {
   public:
    Loan(SessionPool& pool, std::unique_ptr<runtime::Session> session)
        : pool_(&pool), session_(std::move(session)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (session_) pool_->give_back(std::move(session_));
    }
    runtime::Session& operator*() const { return *session_; }

   private:
    SessionPool* pool_;
    std::unique_ptr<runtime::Session> session_;
  };

  /// Waits for one to be free. Errors: kCancelled; those of Engine::new_session.
  Result<Loan> borrow(std::stop_token cancel) {
    std::unique_lock lock(mutex_);
    if (!returned_.wait(lock, cancel, [this] { return !idle_.empty() || made_ < limit_; })) {
      return fail(Code::kCancelled, "cancelled while waiting for a session");
    }
    if (!idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      return Loan(*this, std::move(session));
    }
    ++made_;
    lock.unlock();
    auto session = engine_->new_session();
    if (session) return Loan(*this, std::move(*session));
    lock.lock();
    --made_;
    returned_.notify_one();
    return std::unexpected(std::move(session).error());
  }

 private:
  void give_back(std::unique_ptr<runtime::Session> session) {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(session));
    returned_.notify_one();
  }

  std::shared_ptr<const runtime::Engine> engine_;
  size_t limit_, made_ = 0;
  std::mutex mutex_;
  std::condition_variable_any returned_;
  std::vector<std::unique_ptr<runtime::Session>> idle_;
};

}  // namespace bantam::chat
