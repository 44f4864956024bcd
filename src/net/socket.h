#pragma once
// A TCP connection, plain or under TLS, as one type. Internal to net.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "net/awaitable.h"
#include "net/time_limit.h"

namespace bantam::net {

/// What every operation here completes as: a tuple whose first part is the error.
inline constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Models Asio's AsyncReadStream and AsyncWriteStream. One time limit at a time; when it passes the
/// connection is closed, whether an operation waits or not, and what waits fails (operation_aborted). For the
/// one thread of its io_context.
class Socket {
 public:
  using Tcp = boost::asio::ip::tcp::socket;
  using Tls = boost::asio::ssl::stream<Tcp>;
  using executor_type = Tcp::executor_type;
  using Clock = TimeLimit::Clock;

  /// `context`: null for a plain connection; outlives the socket.
  Socket(Tcp socket, boost::asio::ssl::context* context);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  Tcp& tcp() { return tls_ ? tls_->next_layer() : *plain_; }
  Tls* tls() { return tls_.get(); }
  executor_type get_executor() { return tcp().get_executor(); }
  void close() {
    boost::system::error_code ignored;
    tcp().close(ignored);
  }
  /// For a socket that has just been connected or accepted: small messages go at once, and what would block
  /// says so.
  void set_up();

  void expires_after(std::chrono::milliseconds time) { expires_at(Clock::now() + time); }
  void expires_at(Clock::time_point time) {
    timed_out_ = false;
    limit_.set(time);
  }
  void expires_never() { limit_.lift(); }
  /// Whether it was the last limit set that closed the connection.
  bool timed_out() const { return timed_out_; }

  struct Sent {
    boost::system::error_code error;
    size_t bytes = 0;
  };
  /// Sends `head` and then `body`, which live until it is done; `limit` is for all of it, and no limit is set
  /// after. What the system takes at once goes without a turn of the event loop.
  Awaitable<Sent> send(std::string_view head, std::string_view body, std::chrono::milliseconds limit);

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return plain_->async_read_some(buffers, std::forward<Token>(token));
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return plain_->async_write_some(buffers, std::forward<Token>(token));
  }

 private:
  std::optional<Tcp> plain_;
  std::unique_ptr<Tls> tls_;
  bool timed_out_ = false;
  TimeLimit limit_;
};

}  // namespace bantam::net
