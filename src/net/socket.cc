#include "net/socket.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace bantam::net {

namespace asio = boost::asio;
using boost::system::error_code;

Socket::Socket(Tcp socket, asio::ssl::context* context)
    : limit_(socket.get_executor(), [this] {
        timed_out_ = true;
        close();
      }) {
  if (context) {
    tls_ = std::make_unique<Tls>(std::move(socket), *context);
  } else {
    plain_.emplace(std::move(socket));
  }
}

void Socket::set_up() {
  error_code ignored;
  tcp().set_option(asio::ip::tcp::no_delay(true), ignored);
  tcp().non_blocking(true, ignored);
}

Awaitable<Socket::Sent> Socket::send(std::string_view head, std::string_view body,
                                     std::chrono::milliseconds limit) {
  Sent out;
  std::array<asio::const_buffer, 2> left{asio::buffer(head), asio::buffer(body)};
  const size_t all = head.size() + body.size();
  if (plain_ && plain_->non_blocking()) {
    out.bytes = plain_->write_some(left, out.error);
    if (out.error && out.error != asio::error::would_block && out.error != asio::error::try_again)
      co_return out;
    if (out.bytes == all) co_return out;
    out.error = {};
    const size_t of_head = std::min(out.bytes, head.size());
    left = {asio::buffer(head.substr(of_head)), asio::buffer(body.substr(out.bytes - of_head))};
  }
  expires_after(limit);
  auto [error, written] = co_await asio::async_write(*this, left, kTuple);
  expires_never();
  out.error = error;
  out.bytes += written;
  co_return out;
}

}  // namespace bantam::net
