#include "net/async_event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace bantam::net {

namespace asio = boost::asio;

struct AsyncEvent::State {
  explicit State(asio::any_io_executor executor) : timer(std::move(executor)) {}
  std::atomic<bool> raised{false};
  asio::steady_timer timer;
};

AsyncEvent::AsyncEvent(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

AsyncEvent::~AsyncEvent() = default;

void AsyncEvent::set() {
  if (state_->raised.exchange(true)) return;
  // The waiter runs on the executor's one thread too, so this cancels a wait that has begun, or comes to
  // nothing and the waiter sees the flag.
  asio::post(state_->timer.get_executor(), [weak = std::weak_ptr(state_)] {
    if (auto state = weak.lock()) state->timer.cancel();
  });
}

Awaitable<bool> AsyncEvent::wait(std::optional<TimePoint> until) {
  while (!state_->raised.exchange(false)) {
    if (until && std::chrono::steady_clock::now() >= *until) co_return false;
    state_->timer.expires_at(until.value_or(TimePoint::max()));
    co_await state_->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return true;
}

Awaitable<bool> sleep_until(std::chrono::steady_clock::time_point until, std::stop_token stop) {
  AsyncEvent stopped(co_await asio::this_coro::executor);
  std::stop_callback on_stop(stop, [&] { stopped.set(); });
  bool woken = co_await stopped.wait(until);
  co_return !woken;
}

}  // namespace bantam::net
