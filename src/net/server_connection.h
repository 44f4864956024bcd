#pragma once
// One client's connection to an HttpServer. Internal to net; all of it runs on one of the server's I/O threads.

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "net/http_server.h"
#include "net/socket.h"

namespace bantam::net {

class Connection;
class ServerExchange;

/// What the connections of a server share. But for the atomics nothing of it changes while the server runs.
struct ConnectionHost {
  struct Match {
    const Route* route = nullptr;
    std::string tail, allow;  // allow: the methods of that path, when the method is what does not fit
  };
  Match match(const std::string& method, const std::string& path) const;

  ServerOptions options;
  std::vector<Route> routes;
  boost::asio::ssl::context* tls = nullptr;  // null: plain HTTP
  std::atomic<size_t> open{0}, busy{0};      // connections, and handlers at work
  std::atomic<bool> draining{false};
};

/// An I/O thread's: its connections, which nobody else touches.
struct ConnectionLoop {
  std::unordered_set<Connection*> connections;  // outlives `io`, whose end destroys them
  std::atomic<size_t> open{0};                  // from when they are accepted on
  boost::asio::io_context io{1};
};

/// One of those that are open, from when it is accepted on.
class Place {
 public:
  Place(ConnectionHost& host, ConnectionLoop& loop) : host_(&host), loop_(&loop), number_(host.open.fetch_add(1)) {
    ++loop.open;
  }
  Place(Place&& other) noexcept
      : host_(std::exchange(other.host_, nullptr)), loop_(other.loop_), number_(other.number_) {}
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (host_ == nullptr) return;
    --loop_->open;
    --host_->open;
  }
  ConnectionHost& host() const { return *host_; }
  ConnectionLoop& loop() const { return *loop_; }
  /// Whether there were as many before as there may be.
  bool too_many() const { return number_ >= host_->options.max_connections; }

 private:
  ConnectionHost* host_;
  ConnectionLoop* loop_;
  size_t number_;
};

/// Lives as long as its coroutine and its read.
///
/// One read is nearly always under way, also while a handler works: so the end of the client is noticed then,
/// and no read has to be cancelled and begun anew between two requests.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Place place, boost::asio::ip::tcp::socket socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Owns the connection to its end. Where there are too many, it is only told that.
  static Awaitable<void> serve(std::shared_ptr<Connection> self);

  // What a drain does.
  void close_if_idle() {
    if (idle_) close();
  }
  void cancel();
  void close() { socket_.close(); }

 private:
  friend class ServerExchange;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  class Reading;

  Awaitable<bool> handshake();
  Awaitable<void> say_goodbye();
  Awaitable<void> refuse();
  Awaitable<bool> one_request();
  Awaitable<bool> wait_for_first_byte();
  Awaitable<boost::system::error_code> read(Parser& parser, bool whole);
  Awaitable<bool> refuse_header(boost::system::error_code error, ServerRequest request);
  Awaitable<bool> read_body(Parser& parser, ServerRequest& request);
  Awaitable<bool> answer(ServerRequest request, const Route& route, bool keep_alive);
  Awaitable<bool> answer_whole(const ServerRequest& request, ServerResponse response, bool keep_alive);
  Awaitable<void> handle(ServerExchange& exchange, const Handler& handler);
  Awaitable<bool> send(std::string_view head, std::string_view body = {});
  /// Begins to read, unless that is under way or of no use; what comes is put into buffer_.
  void read_on() noexcept;
  void take(boost::system::error_code error, size_t bytes);
  /// Waits for bytes beyond those in buffer_; false when none will come.
  Awaitable<bool> more();
  Awaitable<void> linger();
  /// The header; of a whole answer the body is sent after it, if body_goes().
  std::string head_bytes(const ServerRequest& request, ServerResponse& head, bool streaming, bool keep_alive);
  bool body_goes(const ServerResponse& head) const { return !head_only_ && head.status != 204; }
  void log(const ServerRequest& request, const std::string& route, int status, bool gone);
  ServerResponse error(const ServerRequest& request, int status, const std::string& message) const {
    return options_.error_response(request, status, message);
  }

  const Place place_;
  ConnectionHost& host_;
  ConnectionLoop& loop_;
  const ServerOptions& options_;
  Socket socket_;
  boost::beast::flat_buffer buffer_;
  std::array<char, 16 << 10> piece_;          // where a read puts what comes
  boost::system::error_code ended_;           // why nothing more will come
  bool reading_ = false;                      // a read is under way
  std::move_only_function<void()> on_bytes_;  // continues whoever waits for it; may be empty
  ServerExchange* exchange_ = nullptr;        // the one in work
  bool idle_ = false, http_1_0_ = false, head_only_ = false;
  uint64_t body_bytes_ = 0;
  double started_ = 0;
};

}  // namespace bantam::net
