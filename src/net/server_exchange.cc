#include "net/server_exchange.h"

#include <utility>

namespace bantam::net {

ServerExchange::ServerExchange(Connection& connection, ServerRequest request, bool keep_alive)
    : connection_(connection), request_(std::move(request)), keep_alive_(keep_alive) {
  request_.cancel = stop_.get_token();
}

void ServerExchange::respond(ServerResponse response) {
  if (std::exchange(answered_, true)) return;
  head_ = std::move(response);
}

void ServerExchange::begin(int status, Headers headers) {
  if (std::exchange(answered_, true)) return;
  head_ = {status, std::move(headers), {}};
  streaming_ = true;
  // A stream to an HTTP/1.0 client has no other end than that of the connection.
  if (connection_.http_1_0_) keep_alive_ = false;
}

Awaitable<bool> ServerExchange::write(std::string piece) {
  if (gone_ || !streaming_) co_return false;
  std::string wire;
  if (!std::exchange(head_sent_, true)) {
    keep_alive_ = keep_alive_ && !connection_.host_.draining;
    wire = connection_.head_bytes(request_, head_, true, keep_alive_);
  }
  if (!piece.empty() && !connection_.head_only_) {
    connection_.body_bytes_ += piece.size();
    if (connection_.http_1_0_) {
      wire += piece;
    } else {
      fmt::format_to(std::back_inserter(wire), "{:x}\r\n", piece.size());
      wire.append(piece).append("\r\n");
    }
  }
  if (wire.empty()) co_return true;
  bool sent = co_await connection_.send(wire);
  if (!sent) client_gone();
  co_return !gone_;
}

Awaitable<bool> ServerExchange::finish() {
  if (gone_) co_return false;
  std::string wire;
  if (!std::exchange(head_sent_, true)) {
    keep_alive_ = keep_alive_ && !connection_.host_.draining;
    wire = connection_.head_bytes(request_, head_, streaming_, keep_alive_);
  }
  if (streaming_ && !connection_.http_1_0_ && !connection_.head_only_) wire += "0\r\n\r\n";
  if (wire.empty()) co_return true;
  bool whole = !streaming_ && connection_.body_goes(head_);
  co_return co_await connection_.send(wire, whole ? head_.body : std::string_view());
}

}  // namespace bantam::net
