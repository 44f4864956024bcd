#pragma once
// Where a request's coroutine and the thread that works on it meet. Internal to chat.

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "net/async_event.h"

namespace bantam::chat {

/// Shared by the two sides, so that either may leave first.
class LocalCall {
 public:
  /// Holds a copy of the request: the caller's may be gone before the worker notices. Text is kept for take()
  /// where it is `wanted`.
  LocalCall(const Request& request, std::stop_token stop, bool wanted)
      : request_(request), stop_(std::move(stop)), wanted_(wanted) {}

  // The worker's side.
  const Request& request() const { return request_; }
  const std::stop_token& stop() const { return stop_; }
  /// Never waits: where more is put than is taken, full() says so. False: stopped.
  bool put(std::string_view text);
  bool put(std::vector<Event> events);
  /// A token whose text comes with the next put(). Those of calls are dropped.
  void put(TokenLogprob token);
  /// Much of what was put is not yet taken.
  bool full() const;
  void finish(Result<Reply> result);

  // The coroutine's side.
  /// Wakes the coroutine for new events, the end and the stop, as long as it exists.
  class Listener {
   public:
    Listener(LocalCall& call, asio::any_io_executor executor);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    Awaitable<bool> wait() { return event_.wait(); }

   private:
    LocalCall& call_;
    net::AsyncEvent event_;
    std::stop_callback<std::function<void()>> on_stop_;
  };
  struct Part {
    std::vector<Event> events;  // what was put since the last take(), texts joined
    bool done = false;          // and there will be no more; with the last event it is still false
  };
  Part take();
  /// After take() said done.
  Result<Reply> result() { return std::move(*result_); }

 private:
  const Request request_;
  const std::stop_token stop_;
  void add(Event event);

  const bool wanted_;
  mutable std::mutex mutex_;
  std::vector<Event> events_;
  size_t bytes_ = 0;  // in them
  std::vector<TokenLogprob> logprobs_;
  std::optional<Result<Reply>> result_;
  net::AsyncEvent* listener_ = nullptr;
};

}  // namespace bantam::chat
