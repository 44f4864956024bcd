#pragma once
// One client's connection to an HttpServer. Internal to net; all of it runs on the server's I/O thread.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <vector>

#include "net/http_server.h"
#include "net/socket.h"

namespace bantam::net {

class Connection;
class ServerExchange;

/// What the connections of a server share.
struct ConnectionHost {
  struct Match {
    const Route* route = nullptr;
    std::string tail, allow;  // allow: the methods of that path, when the method is what does not fit
  };
  Match match(const std::string& method, const std::string& path) const;

  ServerOptions options;
  std::vector<Route> routes;
  boost::asio::io_context* io = nullptr;
  boost::asio::ssl::context* tls = nullptr;     // null: plain HTTP
  std::unordered_set<Connection*> connections;  // outlives `io`, whose end destroys them
  std::atomic<size_t> open{0}, busy{0};         // connections, and handlers at work, for load()
  std::atomic<bool> draining{false};
};

/// Lives as long as its coroutine.
class Connection {
 public:
  Connection(ConnectionHost& host, boost::asio::ip::tcp::socket socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Owns the connection to its end. `full`: there are as many as may be, so it is only told that.
  static Awaitable<void> serve(std::shared_ptr<Connection> self, bool full);

  // What a drain does.
  void close_if_idle() {
    if (idle_) close();
  }
  void cancel();
  void close() { socket_.close(); }

 private:
  friend class ServerExchange;
  using HeaderParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

  Awaitable<bool> handshake();
  Awaitable<void> say_goodbye();
  Awaitable<void> refuse();
  Awaitable<bool> one_request();
  Awaitable<bool> wait_for_first_byte();
  Awaitable<bool> refuse_header(boost::system::error_code error, ServerRequest request);
  Awaitable<bool> read_body(HeaderParser& header, ServerRequest& request);
  Awaitable<bool> answer(ServerRequest request, const Route& route, bool keep_alive);
  Awaitable<bool> answer_whole(const ServerRequest& request, ServerResponse response, bool keep_alive);
  Awaitable<void> handle(ServerExchange& exchange, const Handler& handler);
  Awaitable<void> watch(ServerExchange& exchange);
  Awaitable<bool> send(std::string bytes);
  Awaitable<void> linger();
  std::string head_bytes(const ServerRequest& request, ServerResponse& head, bool streaming, bool keep_alive);
  void log(const ServerRequest& request, const std::string& route, int status, bool gone);
  ServerResponse error(const ServerRequest& request, int status, const std::string& message) const {
    return options_.error_response(request, status, message);
  }

  ConnectionHost& host_;
  const ServerOptions& options_;
  Socket socket_;
  boost::beast::flat_buffer buffer_{(256 << 10) + (1 << 20)};
  ServerExchange* exchange_ = nullptr;  // the one in work
  bool idle_ = false, http_1_0_ = false, head_only_ = false;
  uint64_t body_bytes_ = 0;
  double started_ = 0;
};

}  // namespace bantam::net
