// One coroutine per connection, all on one I/O thread, so that nothing here but ServerExchange and the
// counters needs a lock.
#include "net/http_server.h"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <unordered_set>

#include "base/usage.h"
#include "net/server_exchange.h"
#include "net/worker_pool.h"

namespace bantam::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadAhead = 64 << 10;  // bytes of a next request taken while the present one is in work

ServerResponse plain_error(int status, const std::string& message) {
  return {status, {{"content-type", "text/plain; charset=utf-8"}}, message + "\n"};
}

class Connection;

class Server final : public HttpServer {
 public:
  Server(ServerOptions options, std::vector<Route> routes)
      : options_(std::move(options)), routes_(std::move(routes)), acceptor_(io_), drain_timer_(io_) {
    if (!options_.error_response) options_.error_response = plain_error;
  }

  Status open();
  uint16_t port() const override { return port_; }
  Status run(std::stop_token stop) override;
  Load load() const override {
    WorkerPool::Load pool = pool_ ? pool_->load() : WorkerPool::Load{};
    return {open_connections_.load(), pool.busy, pool.queued, draining_.load()};
  }

  struct Match {
    const Route* route = nullptr;
    std::string tail, allow;  // allow: the methods of that path, when the method is what does not fit
  };
  Match match(const std::string& method, const std::string& path) const;

  const ServerOptions& options() const { return options_; }
  asio::io_context& io() { return io_; }
  WorkerPool& pool() { return *pool_; }
  bool draining() const { return draining_; }
  void add(Connection* c) { open_connections_ = (connections_.insert(c), connections_.size()); }
  void remove(Connection* c) { open_connections_ = (connections_.erase(c), connections_.size()); }

 private:
  awaitable<void> accept();
  awaitable<void> drain();

  ServerOptions options_;
  std::vector<Route> routes_;
  std::unordered_set<Connection*> connections_;  // outlives io_, whose end destroys the connections
  std::atomic<size_t> open_connections_{0};
  std::atomic<bool> draining_{false};
  uint16_t port_ = 0;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer drain_timer_;
  std::unique_ptr<WorkerPool> pool_;  // last, so that its threads end before what they use
};

/// A client's connection. Lives as long as its coroutine; an exchange that outlives it (a handler still at
/// work) holds no way back to it but a weak pointer to the timer that wakes the coroutine.
class Connection {
 public:
  Connection(Server& server, tcp::socket socket)
      : server_(server),
        options_(server.options()),
        stream_(std::move(socket)),
        notified_(std::make_shared<asio::steady_timer>(server.io(), Clock::time_point::max())) {
    server_.add(this);
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Connection() { server_.remove(this); }

  /// Owns the connection to its end. `full`: there are as many as may be, so it is only told that.
  static awaitable<void> serve(std::shared_ptr<Connection> self, bool full);

  // What a drain does.
  void close_if_idle() {
    if (idle_) close();
  }
  void cancel() {
    if (exchange_) exchange_->cancel();
  }
  void close() {
    error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  using HeaderParser = http::request_parser<http::empty_body>;
  using BodyParser = http::request_parser<http::string_body>;

  awaitable<void> refuse();
  awaitable<bool> one_request();
  awaitable<bool> wait_for_first_byte();
  awaitable<bool> refuse_header(error_code error);
  awaitable<bool> read_body(HeaderParser& header, ServerRequest& request);
  awaitable<bool> answer(ServerRequest request, const Server::Match& match, bool keep_alive);
  awaitable<bool> answer_whole(const ServerRequest& request, ServerResponse response, bool keep_alive);
  awaitable<void> watch();
  awaitable<void> pump(bool* keep_alive, bool* done);
  awaitable<bool> send_head(const ServerRequest& request, ServerResponse head, bool streaming,
                            bool keep_alive);
  awaitable<bool> send(std::string bytes);
  awaitable<void> linger();
  void dispatch(const Route& route);
  void log(const ServerRequest& request, int status, bool gone);
  ServerResponse error(int status, const std::string& message) const {
    return options_.error_response(status, message);
  }

  Server& server_;
  const ServerOptions& options_;
  beast::tcp_stream stream_;
  std::shared_ptr<asio::steady_timer> notified_;
  beast::flat_buffer buffer_{(256 << 10) + (1 << 20)};
  std::shared_ptr<ServerExchange> exchange_;
  bool idle_ = false, http_1_0_ = false, head_only_ = false;
  uint64_t body_bytes_ = 0;
  double started_ = 0;
};

awaitable<bool> Connection::send(std::string bytes) {
  stream_.expires_after(options_.write_timeout);
  auto [ec, n] = co_await asio::async_write(stream_, asio::buffer(bytes), kTuple);
  co_return !ec;
}

awaitable<bool> Connection::send_head(const ServerRequest& request, ServerResponse head, bool streaming,
                                      bool keep_alive) {
  if (options_.decorate) options_.decorate(request, head.headers);
  head.headers.set("x-request-id", request.id);
  head.headers.set("date", http_date());
  head.headers.set("connection", keep_alive ? "keep-alive" : "close");
  if (streaming && !http_1_0_) head.headers.set("transfer-encoding", "chunked");
  if (!streaming && head.status != 204) head.headers.set("content-length", std::to_string(head.body.size()));
  std::string wire =
      fmt::format("HTTP/1.1 {} {}\r\n{}\r\n", head.status, reason_phrase(head.status), head.headers.wire());
  if (!streaming && !head_only_ && head.status != 204) wire += head.body;
  body_bytes_ = streaming ? 0 : head.body.size();
  co_return co_await send(std::move(wire));
}

void Connection::log(const ServerRequest& request, int status, bool gone) {
  if (!options_.on_access) return;
  options_.on_access(
      {request.id, request.method, request.path, status, body_bytes_, wall_seconds() - started_, gone});
}

awaitable<bool> Connection::answer_whole(const ServerRequest& request, ServerResponse response,
                                         bool keep_alive) {
  int status = response.status;
  bool sent = co_await send_head(request, std::move(response), false, keep_alive);
  log(request, status, !sent);
  co_return sent&& keep_alive;
}

/// Closing with bytes unread makes the system send a reset, which can destroy the answer on its way; so read
/// on for a moment.
awaitable<void> Connection::linger() {
  error_code ec;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ec);
  stream_.expires_after(std::chrono::seconds(2));
  char sink[4096];
  for (size_t total = 0; !ec && total < (1U << 20);) {
    auto [error, n] = co_await stream_.async_read_some(asio::buffer(sink), kTuple);
    ec = error;
    total += n;
  }
}

/// Notices that the client has gone while a handler works; bytes of a next request are kept, up to a bound.
awaitable<void> Connection::watch() {
  while (buffer_.size() < kReadAhead) {
    stream_.expires_never();
    auto [ec, n] = co_await stream_.async_read_some(buffer_.prepare(4096), kTuple);
    if (ec == asio::error::operation_aborted) co_return;
    if (ec) {
      exchange_->client_gone();
      co_return;
    }
    buffer_.commit(n);
  }
  asio::steady_timer never(server_.io(), Clock::time_point::max());
  co_await never.async_wait(kTuple);
}

/// Sends what the handler gives until its end. Sets *done when the answer went out whole.
awaitable<void> Connection::pump(bool* keep_alive, bool* done) {
  const ServerRequest& request = exchange_->request();
  bool streaming = false;
  int status = 0;
  asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
  while (cancellation.cancelled() == asio::cancellation_type::none) {
    ServerExchange::Out out = exchange_->take();
    if (out.begun) {
      streaming = out.streaming;
      status = out.head.status;
      // A stream to an HTTP/1.0 client has no other end than that of the connection.
      *keep_alive = *keep_alive && !server_.draining() && !(streaming && http_1_0_);
      if (!co_await send_head(request, std::move(out.head), streaming, *keep_alive)) break;
    }
    if (!out.bytes.empty() && !head_only_) {
      body_bytes_ += out.bytes.size();
      std::string piece =
          http_1_0_ ? std::move(out.bytes) : fmt::format("{:x}\r\n{}\r\n", out.bytes.size(), out.bytes);
      if (!co_await send(std::move(piece))) break;
    } else if (out.ended) {
      *done = true;
      if (streaming && !http_1_0_ && !head_only_) *done = co_await send("0\r\n\r\n");
      break;
    } else if (!out.begun) {
      co_await notified_->async_wait(kTuple);
    }
  }
  if (!*done) exchange_->client_gone();
  log(request, status ? status : 499, !*done);
}

void Connection::dispatch(const Route& route) {
  auto job = [exchange = exchange_, handler = &route.handler, on_error = options_.error_response] {
    if (!exchange->request().cancel.stop_requested()) {
      try {
        (*handler)(*exchange);
      } catch (const std::exception&) {
        // A handler of ours does not throw; what arrives here is a lack of memory. The answer below says it.
      }
    }
    exchange->respond(on_error(500, "The request could not be completed."));  // no effect after an answer
    exchange->finish();
  };
  if (route.inline_on_io) {
    job();
  } else if (!server_.pool().try_post(std::move(job))) {
    ServerResponse busy = error(429, "The server is busy and its queue is full; try again later.");
    busy.headers.set("retry-after", "1");
    exchange_->respond(std::move(busy));
  }
}

awaitable<bool> Connection::answer(ServerRequest request, const Server::Match& match, bool keep_alive) {
  using namespace asio::experimental::awaitable_operators;
  auto wake = [timer = std::weak_ptr(notified_), &io = server_.io()] {
    asio::post(io, [timer] {
      if (auto t = timer.lock()) t->cancel();
    });
  };
  exchange_ = std::make_shared<ServerExchange>(std::move(request), wake);
  dispatch(*match.route);
  bool done = false;
  co_await (pump(&keep_alive, &done) || watch());
  if (!done) exchange_->client_gone();
  exchange_.reset();
  co_return done&& keep_alive;
}

awaitable<bool> Connection::wait_for_first_byte() {
  if (buffer_.size() > 0) co_return true;
  if (server_.draining()) co_return false;
  idle_ = true;
  stream_.expires_after(options_.idle_timeout);
  auto [ec, n] = co_await stream_.async_read_some(buffer_.prepare(4096), kTuple);
  idle_ = false;
  buffer_.commit(n);
  co_return !ec;
}

awaitable<bool> Connection::refuse_header(error_code ec) {
  ServerRequest unknown;
  unknown.id = random_id("req_");
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    co_await answer_whole(
        unknown, error(431, fmt::format("The header is longer than {} bytes.", options_.max_header_bytes)),
        false);
  } else if (ec == http::error::body_limit) {
    co_await answer_whole(
        unknown, error(413, fmt::format("The body is longer than {} bytes.", options_.max_body_bytes)),
        false);
  } else if (ec.category() == http::make_error_code(http::error::bad_method).category() &&
             ec != http::error::end_of_stream && ec != http::error::partial_message) {
    co_await answer_whole(unknown, error(400, "The request is not valid HTTP: " + ec.message() + "."), false);
  } else {
    co_return false;  // the connection ended or was silent for too long
  }
  co_await linger();
  co_return false;
}

/// False when the connection is of no more use (an answer was given where one was due).
awaitable<bool> Connection::read_body(HeaderParser& header, ServerRequest& request) {
  BodyParser body(std::move(header));
  body.body_limit(options_.max_body_bytes);
  if (equal_without_case(request.headers.get("expect").value_or(""), "100-continue")) {
    if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
  }
  stream_.expires_after(options_.body_timeout);
  auto [ec, n] = co_await http::async_read(stream_, buffer_, body, kTuple);
  if (ec) co_return co_await refuse_header(ec);
  request.body = std::move(body.get().body());
  co_return true;
}

/// Fills in what the header says; a message when it is not acceptable.
std::optional<std::string> read_head(const http::request_header<>& head, ServerRequest& request) {
  request.id = random_id("req_");
  request.method = head.method_string();
  for (const auto& field : head)
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  std::string_view target(head.target().data(), head.target().size());
  size_t query = target.find('?');
  auto path = percent_decode(target.substr(0, query));
  if (!path || !(path->starts_with('/') || *path == "*")) return "The request target is not a valid path.";
  request.path = std::move(*path);
  if (query != std::string_view::npos) request.query = target.substr(query + 1);
  if (head.version() >= 11 && head.count(http::field::host) != 1) return "Found no single Host field.";
  return std::nullopt;
}

awaitable<bool> Connection::one_request() {
  if (!co_await wait_for_first_byte()) co_return false;
  started_ = wall_seconds();
  body_bytes_ = 0;
  HeaderParser parser;
  parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser.body_limit(options_.max_body_bytes);
  stream_.expires_after(options_.header_timeout);
  auto [ec, n] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
  if (ec) co_return co_await refuse_header(ec);

  ServerRequest request;
  auto problem = read_head(parser.get(), request);
  http_1_0_ = parser.get().version() < 11;
  head_only_ = request.method == "HEAD";
  bool keep_alive = parser.keep_alive() && !server_.draining();
  bool no_body = parser.is_done() || (!parser.chunked() && parser.content_length().value_or(0) == 0);
  std::optional<ServerResponse> early;
  if (problem) early = error(400, *problem);
  if (!early && options_.gate) early = options_.gate(request);
  Server::Match match = server_.match(request.method, request.path);
  if (!early && !match.route) {
    early = match.allow.empty() ? error(404, fmt::format("There is no {} here.", request.path))
                                : error(405, fmt::format("{} does not take {}; it takes {}.", request.path,
                                                         request.method, match.allow));
    if (!match.allow.empty()) early->headers.set("allow", match.allow);
  }
  if (early) {
    bool open = co_await answer_whole(request, std::move(*early), keep_alive && no_body && !problem);
    if (!open) co_await linger();
    co_return open;
  }
  if (!co_await read_body(parser, request)) co_return false;
  request.tail = match.tail;
  co_return co_await answer(std::move(request), match, keep_alive);
}

awaitable<void> Connection::serve(std::shared_ptr<Connection> self, bool full) {
  // g++ 12 miscompiles co_await within && and ||, so none of this file's stand there.
  bool open = !full;
  if (full) co_await self->refuse();
  while (open) open = co_await self->one_request();
  self->close();
}

awaitable<void> Connection::refuse() {
  ServerRequest unknown;
  unknown.id = random_id("req_");
  ServerResponse full = error(503, "The server has as many connections as it may have; try again later.");
  full.headers.set("retry-after", "1");
  co_await answer_whole(unknown, std::move(full), false);
  co_await linger();
}

Status Server::open() {
  error_code ec;
  auto address = asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, ec);
  if (ec)
    return fail(Code::kInvalidArgument, "host: found '{}', expected an IP address or localhost",
                options_.host);
  if (options_.max_header_bytes < 1024 || options_.max_header_bytes > (1U << 20)) {
    return fail(Code::kInvalidArgument, "max_header_bytes: found {}, expected 1024..1048576",
                options_.max_header_bytes);
  }
  tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return fail(Code::kIo, "cannot listen on {} port {}: {}", options_.host, options_.port, ec.message());
  port_ = acceptor_.local_endpoint(ec).port();
  pool_ = std::make_unique<WorkerPool>(options_.workers, options_.max_queue);
  return {};
}

Server::Match Server::match(const std::string& method, const std::string& path) const {
  Match out;
  for (const Route& route : routes_) {
    std::string_view pattern = route.path;
    bool open_end = pattern.ends_with('*');
    if (open_end) pattern.remove_suffix(1);
    if (open_end ? !(path.starts_with(pattern) && path.size() > pattern.size()) : path != pattern) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      return {&route, open_end ? path.substr(pattern.size()) : "", ""};
    }
    out.allow += (out.allow.empty() ? "" : ", ") + route.method;
  }
  return out;
}

awaitable<void> Server::accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTuple);
    if (draining_) co_return;
    if (ec) {
      // Out of descriptors or the like: it may pass, and trying at once would only burn the processor.
      asio::steady_timer pause(io_, std::chrono::milliseconds(50));
      co_await pause.async_wait(kTuple);
      continue;
    }
    bool full = connections_.size() >= options_.max_connections;
    auto connection = std::make_shared<Connection>(*this, std::move(socket));
    asio::co_spawn(io_, Connection::serve(std::move(connection), full), asio::detached);
  }
}

awaitable<void> Server::drain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (Connection* c : std::vector(connections_.begin(), connections_.end())) c->close_if_idle();
  auto wait = [this](Clock::duration longest) -> awaitable<void> {
    auto until = Clock::now() + longest;
    while (!connections_.empty() && Clock::now() < until) {
      drain_timer_.expires_after(std::chrono::milliseconds(10));
      co_await drain_timer_.async_wait(kTuple);
    }
  };
  co_await wait(options_.drain_timeout);
  for (Connection* c : std::vector(connections_.begin(), connections_.end())) c->cancel();
  co_await wait(std::chrono::seconds(2));
  for (Connection* c : std::vector(connections_.begin(), connections_.end())) c->close();
}

Status Server::run(std::stop_token stop) {
  try {
    asio::co_spawn(io_, accept(), asio::detached);
    std::stop_callback on_stop(
        stop, [this] { asio::post(io_, [this] { asio::co_spawn(io_, drain(), asio::detached); }); });
    io_.run();
    return {};
  } catch (const std::exception& e) {
    return fail(Code::kInternal, "HTTP server: {}", e.what());
  }
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(ServerOptions options, std::vector<Route> routes) {
  try {
    auto server = std::make_unique<Server>(std::move(options), std::move(routes));
    BANTAM_TRY(server->open());
    return server;
  } catch (const std::exception& e) {
    return fail(Code::kIo, "HTTP server: {}", e.what());
  }
}

}  // namespace bantam::net
