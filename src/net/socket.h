#pragma once
// A TCP connection, plain or under TLS, as one type. Internal to net.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <optional>

namespace bantam::net {

/// What every operation here completes as: a tuple whose first part is the error.
inline constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Models Asio's AsyncReadStream and AsyncWriteStream. Time limits are those of tcp().
class Socket {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;
  using Tls = boost::asio::ssl::stream<boost::beast::tcp_stream>;

  /// `context`: null for a plain connection; outlives the socket.
  Socket(boost::beast::tcp_stream stream, boost::asio::ssl::context* context) {
    if (context) {
      tls_ = std::make_unique<Tls>(std::move(stream), *context);
    } else {
      plain_.emplace(std::move(stream));
    }
  }

  boost::beast::tcp_stream& tcp() { return tls_ ? tls_->next_layer() : *plain_; }
  Tls* tls() { return tls_.get(); }
  executor_type get_executor() { return tcp().get_executor(); }
  void close() {
    boost::system::error_code ignored;
    tcp().socket().close(ignored);
  }

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
  std::optional<boost::beast::tcp_stream> plain_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace bantam::net
