#include "net/server_connection.h"

#include <boost/asio/async_result.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <utility>

#include "base/usage.h"
#include "net/server_exchange.h"

namespace bantam::net {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr size_t kReadAhead = 64 << 10;  // bytes of a next request taken while the present one is in work

/// Fills in what the header says; a message when it is not acceptable.
std::optional<std::string> read_head(const http::request_header<>& head, ServerRequest& request) {
  request.method = head.method_string();
  request.headers.reserve(16);
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

}  // namespace

ConnectionHost::Match ConnectionHost::match(const std::string& method, const std::string& path) const {
  Match out;
  for (const Route& route : routes) {
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

Connection::Connection(Place place, tcp::socket socket)
    : place_(std::move(place)),
      host_(place_.host()),
      loop_(place_.loop()),
      options_(host_.options),
      socket_(std::move(socket), host_.tls) {
  loop_.connections.insert(this);
  socket_.set_up();
}

Connection::~Connection() { loop_.connections.erase(this); }

void Connection::cancel() {
  if (exchange_) exchange_->cancel();
}

/// A read on its way. It keeps its connection alive; when the event loop ends before it does, whoever waits
/// for it ends with it.
class Connection::Reading {
 public:
  explicit Reading(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  Reading(Reading&&) = default;
  Reading& operator=(Reading&&) = delete;
  ~Reading() {
    if (!connection_) return;
    auto waiting = std::exchange(connection_->on_bytes_, nullptr);
  }
  void operator()(error_code error, size_t bytes) {
    auto connection = std::move(connection_);
    connection->take(error, bytes);
  }

 private:
  std::shared_ptr<Connection> connection_;
};

void Connection::read_on() noexcept {
  // While a handler works what comes is of a next request, and bounded; at rest whoever reads asks for more.
  if (reading_ || ended_ || (exchange_ && buffer_.size() >= kReadAhead)) return;
  try {
    socket_.async_read_some(asio::buffer(piece_), Reading(shared_from_this()));
    reading_ = true;
  } catch (const std::exception&) {
    ended_ = asio::error::no_memory;
  }
}

void Connection::take(error_code error, size_t bytes) {
  reading_ = false;
  try {
    if (bytes > 0) {
      auto room = buffer_.prepare(bytes);
      std::memcpy(room.data(), piece_.data(), bytes);
      buffer_.commit(bytes);
    }
  } catch (const std::exception&) {
    error = asio::error::no_memory;
  }
  ended_ = error;
  if (exchange_) {
    if (error) exchange_->client_gone();
    read_on();
  } else if (on_bytes_) {
    std::exchange(on_bytes_, nullptr)();
  }
}

Awaitable<bool> Connection::more() {
  read_on();
  if (ended_) co_return false;
  auto begin = [this](auto handler) {
    on_bytes_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(begin), asio::use_awaitable);
  co_return !ended_;
}

Awaitable<bool> Connection::send(std::string_view head, std::string_view body) {
  auto sent = co_await socket_.send(head, body, options_.write_timeout);
  co_return !sent.error;
}

std::string Connection::head_bytes(const ServerRequest& request, ServerResponse& head, bool streaming,
                                   bool keep_alive) {
  if (options_.decorate) options_.decorate(request, head.headers);
  head.headers.set("x-request-id", request.id);
  head.headers.set("date", http_date());
  head.headers.set("connection", keep_alive ? "keep-alive" : "close");
  if (streaming && !http_1_0_) head.headers.set("transfer-encoding", "chunked");
  if (!streaming && head.status != 204) head.headers.set("content-length", std::to_string(head.body.size()));
  if (!streaming) body_bytes_ = head.body.size();
  std::string wire;
  wire.reserve(512);
  fmt::format_to(std::back_inserter(wire), "HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  head.headers.write(wire);
  wire += "\r\n";
  return wire;
}

void Connection::log(const ServerRequest& request, const std::string& route, int status, bool gone) {
  if (!options_.on_access) return;
  options_.on_access({request.id, request.method, request.path, route, status, body_bytes_,
                      wall_seconds() - started_, gone});
}

Awaitable<bool> Connection::answer_whole(const ServerRequest& request, ServerResponse response,
                                         bool keep_alive) {
  std::string head = head_bytes(request, response, false, keep_alive);
  bool sent = co_await send(head, body_goes(response) ? response.body : std::string_view());
  log(request, "", response.status, !sent);
  co_return sent&& keep_alive;
}

/// Closing with bytes unread makes the system send a reset, which can destroy the answer on its way; so read
/// on for a moment.
Awaitable<void> Connection::linger() {
  error_code ignored;
  socket_.tcp().shutdown(tcp::socket::shutdown_send, ignored);
  socket_.expires_after(std::chrono::seconds(2));
  bool open = true;
  for (size_t total = 0; open && total < (1U << 20);) {
    total += buffer_.size();
    buffer_.clear();
    open = co_await more();
  }
}

Awaitable<void> Connection::handle(ServerExchange& exchange, const Handler& handler) {
  try {
    co_await handler(exchange);
  } catch (const std::exception&) {
    // A handler of ours does not throw; what arrives here is a lack of memory. answer() says it.
  }
}

Awaitable<bool> Connection::answer(ServerRequest request, const Route& route, bool keep_alive) {
  ServerExchange exchange(*this, std::move(request), keep_alive);
  exchange_ = &exchange;
  ++host_.busy;
  socket_.expires_never();
  read_on();
  if (ended_) exchange.client_gone();
  co_await handle(exchange, route.handler);
  --host_.busy;
  exchange_ = nullptr;
  if (!exchange.answered())
    exchange.respond(error(exchange.request(), 500, "The request could not be completed."));
  bool done = co_await exchange.finish();
  log(exchange.request(), route.path, exchange.head_sent() ? exchange.status() : 499, !done);
  co_return done&& exchange.keep_alive();
}

Awaitable<bool> Connection::wait_for_first_byte() {
  if (buffer_.size() > 0) co_return true;
  if (host_.draining) co_return false;
  idle_ = true;
  socket_.expires_after(options_.idle_timeout);
  co_await more();
  idle_ = false;
  co_return buffer_.size() > 0;
}

/// Reads up to the header's end, or the `whole` request.
Awaitable<error_code> Connection::read(Parser& parser, bool whole) {
  parser.eager(whole);
  for (;;) {
    if (buffer_.size() > 0) {
      error_code error;
      buffer_.consume(parser.put(buffer_.data(), error));
      if (error && error != http::error::need_more) co_return error;
      if (whole ? parser.is_done() : parser.is_header_done()) co_return error_code();
      if (!error && buffer_.size() > 0) continue;
    }
    bool came = co_await more();
    if (!came) co_return http::error::partial_message;
  }
}

Awaitable<bool> Connection::refuse_header(error_code ec, ServerRequest request) {
  if (ec == http::error::header_limit) {
    co_await answer_whole(
        request,
        error(request, 431, fmt::format("The header is longer than {} bytes.", options_.max_header_bytes)),
        false);
  } else if (ec == http::error::body_limit) {
    co_await answer_whole(
        request,
        error(request, 413, fmt::format("The body is longer than {} bytes.", options_.max_body_bytes)),
        false);
  } else if (ec.category() == http::make_error_code(http::error::bad_method).category() &&
             ec != http::error::end_of_stream && ec != http::error::partial_message) {
    co_await answer_whole(request,
                          error(request, 400, "The request is not valid HTTP: " + ec.message() + "."), false);
  } else {
    co_return false;  // the connection ended or was silent for too long
  }
  co_await linger();
  co_return false;
}

/// False when the connection is of no more use (an answer was given where one was due).
Awaitable<bool> Connection::read_body(Parser& parser, ServerRequest& request) {
  if (equal_without_case(request.headers.get("expect").value_or(""), "100-continue")) {
    bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return false;
  }
  if (!parser.is_done()) {
    socket_.expires_after(options_.body_timeout);
    error_code ec = co_await read(parser, /*whole=*/true);
    if (ec) co_return co_await refuse_header(ec, std::move(request));
  }
  request.body = std::move(parser.get().body());
  co_return true;
}

Awaitable<bool> Connection::one_request() {
  bool begun = co_await wait_for_first_byte();
  if (!begun) co_return false;
  started_ = wall_seconds();
  body_bytes_ = 0;
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser.body_limit(options_.max_body_bytes);
  socket_.expires_after(options_.header_timeout);
  error_code ec = co_await read(parser, /*whole=*/false);
  ServerRequest request;
  request.id = random_id("req_");
  // A body that is announced as too long shows in the header, which is then known.
  if (ec == http::error::body_limit) (void)read_head(parser.get(), request);
  if (ec) co_return co_await refuse_header(ec, std::move(request));
  auto problem = read_head(parser.get(), request);
  http_1_0_ = parser.get().version() < 11;
  head_only_ = request.method == "HEAD";
  bool keep_alive = parser.keep_alive() && !host_.draining;
  bool no_body = parser.is_done() || (!parser.chunked() && parser.content_length().value_or(0) == 0);
  std::optional<ServerResponse> early;
  if (problem) early = error(request, 400, *problem);
  if (!early && options_.gate) early = options_.gate(request);
  ConnectionHost::Match match = host_.match(request.method, request.path);
  if (!early && !match.route) {
    early = match.allow.empty() ? error(request, 404, fmt::format("There is no {} here.", request.path))
                                : error(request, 405,
                                        fmt::format("{} does not take {}; it takes {}.", request.path,
                                                    request.method, match.allow));
    if (!match.allow.empty()) early->headers.set("allow", match.allow);
  }
  if (early) {
    bool open = co_await answer_whole(request, std::move(*early), keep_alive && no_body && !problem);
    if (!open) co_await linger();
    co_return open;
  }
  bool read = co_await read_body(parser, request);
  if (!read) co_return false;
  request.tail = match.tail;
  co_return co_await answer(std::move(request), *match.route, keep_alive);
}

Awaitable<bool> Connection::handshake() {
  if (!socket_.tls()) co_return true;
  socket_.expires_after(options_.header_timeout);
  auto [ec] = co_await socket_.tls()->async_handshake(asio::ssl::stream_base::server, kTuple);
  co_return !ec;
}

/// So that the client can tell the end from a connection cut off.
Awaitable<void> Connection::say_goodbye() {
  socket_.expires_after(std::chrono::seconds(1));
  co_await socket_.tls()->async_shutdown(kTuple);
}

Awaitable<void> Connection::serve(std::shared_ptr<Connection> self) {
  // g++ 12 miscompiles co_await within && and ||, so none of this file's stand there.
  bool open = co_await self->handshake();
  if (open && self->place_.too_many()) {
    co_await self->refuse();
    open = false;
  }
  while (open) open = co_await self->one_request();
  if (self->socket_.tls()) co_await self->say_goodbye();
  self->close();
}

Awaitable<void> Connection::refuse() {
  ServerRequest unknown;
  unknown.id = random_id("req_");
  ServerResponse full =
      error(unknown, 503, "The server has as many connections as it may have; try again later.");
  full.headers.set("retry-after", "1");
  co_await answer_whole(unknown, std::move(full), false);
  co_await linger();
}

}  // namespace bantam::net
