#pragma once
// Coroutines: the return type of whatever waits, and the way into one from ordinary code.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

namespace bantam::net {

template <class T>
using Awaitable = boost::asio::awaitable<T>;

/// Runs an awaitable on a private io_context of the calling thread until it is done; for tests and the
/// command line. What the awaitable throws is thrown here.
template <class T>
T wait(Awaitable<T> work) {
  std::optional<T> out;
  std::exception_ptr thrown;
  boost::asio::io_context io{1};
  auto guard = boost::asio::make_work_guard(io);
  boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr e, T value) {
    thrown = e;
    out.emplace(std::move(value));
  });
  while (!out) io.run_one();
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*out);
}

inline void wait(Awaitable<void> work) {
  bool done = false;
  std::exception_ptr thrown;
  boost::asio::io_context io{1};
  auto guard = boost::asio::make_work_guard(io);
  boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr e) {
    thrown = e;
    done = true;
  });
  while (!done) io.run_one();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace bantam::net
