// Every call runs its connection's own io_context on the calling thread: timeouts and cancellation come from
// Asio, and no thread of the client's is needed.
#include "net/http_client.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cstring>
#include <list>
#include <mutex>

#include "net/resolve.h"

namespace bantam::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using TlsStream = ssl::stream<beast::tcp_stream>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxIdle = 32;  // connections kept for all hosts together

/// A connection; used by one call at a time.
struct Link {
  Link(const Url& url, ssl::context& context) {
    if (url.tls) {
      tls = std::make_unique<TlsStream>(beast::tcp_stream(io), context);
    } else {
      plain = std::make_unique<beast::tcp_stream>(io);
    }
  }
  beast::tcp_stream& tcp_layer() { return tls ? tls->next_layer() : *plain; }

  /// A connection at rest has nothing to read: bytes, an end or an error there all mean that it is of no more
  /// use.
  bool usable() {
    char byte;
    int fd = tcp_layer().socket().native_handle();
    return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  asio::io_context io{1};
  std::unique_ptr<beast::tcp_stream> plain;
  std::unique_ptr<TlsStream> tls;
  beast::flat_buffer buffer;
  std::string key;  // scheme and authority
  Clock::time_point idle_since;
};

/// One request and its answer over a link.
class Call {
 public:
  Call(Link& link, const ClientOptions& options, const ClientRequest& request, CallTrace& trace)
      : link_(link), options_(options), request_(request), trace_(trace) {}

  Result<ClientResponse> run(bool fresh);
  bool reusable() const { return reusable_ && !closing_; }

 private:
  awaitable<Status> connect(std::vector<SocketAddress> addresses, Clock::time_point until);
  awaitable<Status> handshake(Clock::time_point until);
  template <class Stream>
  awaitable<Status> transact(Stream& stream);
  template <class Stream>
  awaitable<Status> read_body(Stream& stream, http::response_parser<http::buffer_body>& parser);
  awaitable<Status> all(bool fresh);
  std::string wire() const;
  Status take(std::string_view piece);
  Status take_head(const http::response_header<>& head);
  std::unexpected<Error> broken(std::string_view doing, error_code ec, std::chrono::milliseconds limit) const;
  std::string who() const { return request_.url.authority(); }
  void close() {
    closing_ = true;
    asio::post(link_.io, [this] {
      error_code ignored;
      link_.tcp_layer().socket().close(ignored);
    });
  }

  Link& link_;
  const ClientOptions& options_;
  const ClientRequest& request_;
  CallTrace& trace_;
  ClientResponse response_;
  Status status_;
  bool reusable_ = false, expired_ = false;
  std::atomic<bool> closing_{false};
};

std::unexpected<Error> Call::broken(std::string_view doing, error_code ec,
                                    std::chrono::milliseconds limit) const {
  if (request_.cancel.stop_requested()) return fail(Code::kCancelled, "{}: cancelled", who());
  if (expired_) return fail(Code::kCancelled, "{}: the deadline passed while {}", who(), doing);
  if (ec == beast::error::timeout) {
    return fail(Code::kUnavailable, "{}: nothing happened for {} ms while {}", who(), limit.count(), doing);
  }
  if (ec == http::error::end_of_stream || ec == http::error::partial_message || ec == asio::error::eof) {
    return fail(Code::kUnavailable, "{}: the connection was closed while {}", who(), doing);
  }
  if (ec == http::error::body_limit)
    return fail(Code::kLimit, "{}: the answer is longer than {} bytes", who(), options_.max_body_bytes);
  if (ec == http::error::header_limit) {
    return fail(Code::kLimit, "{}: the answer's header is longer than {} bytes", who(),
                options_.max_header_bytes);
  }
  return fail(Code::kUnavailable, "{}: {} while {}", who(), ec.message(), doing);
}

awaitable<Status> Call::connect(std::vector<SocketAddress> addresses, Clock::time_point until) {
  beast::tcp_stream& stream = link_.tcp_layer();
  error_code last;
  for (size_t i = 0; i < addresses.size() && !closing_; ++i) {
    tcp::endpoint endpoint;
    if (addresses[i].size > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), &addresses[i].storage, addresses[i].size);
    endpoint.resize(addresses[i].size);
    // Each address gets an equal share of what is left, so that a dead one does not use up the others' time.
    stream.expires_after((until - Clock::now()) / static_cast<int>(addresses.size() - i));
    auto [ec] = co_await stream.async_connect(endpoint, kTuple);
    last = ec;
    if (!ec) break;
  }
  if (last || closing_) co_return broken("connecting", last, options_.connect_timeout);
  error_code ignored;
  stream.socket().set_option(tcp::no_delay(true), ignored);
  co_return Status{};
}

awaitable<Status> Call::handshake(Clock::time_point until) {
  const std::string& host = request_.url.host;
  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  SSL* handle = link_.tls->native_handle();
  if (not_an_address && SSL_set_tlsext_host_name(handle, host.c_str()) != 1) {
    co_return fail(Code::kUnavailable, "{}: the host name cannot be sent for TLS", who());
  }
  link_.tls->set_verify_callback(ssl::host_name_verification(host));
  link_.tcp_layer().expires_at(until);
  auto [ec] = co_await link_.tls->async_handshake(ssl::stream_base::client, kTuple);
  if (!ec) co_return Status{};
  if (long verdict = SSL_get_verify_result(handle); verdict != X509_V_OK && !closing_) {
    co_return fail(Code::kUnavailable, "{}: the certificate is not accepted: {}", who(),
                   X509_verify_cert_error_string(verdict));
  }
  co_return broken("setting up TLS", ec, options_.connect_timeout);
}

std::string Call::wire() const {
  Headers headers = request_.headers;
  headers.set("host", request_.url.authority());
  headers.set("connection", "keep-alive");
  if (!request_.body.empty() || request_.method == "POST")
    headers.set("content-length", std::to_string(request_.body.size()));
  return fmt::format("{} {} HTTP/1.1\r\n{}\r\n{}", request_.method, request_.url.target, headers.wire(),
                     request_.body);
}

Status Call::take_head(const http::response_header<>& head) {
  response_.status = static_cast<int>(head.result_int());
  for (const auto& field : head)
    response_.headers.add(std::string(field.name_string()), std::string(field.value()));
  std::string_view encoding = response_.headers.get("content-encoding").value_or("identity");
  if (!equal_without_case(encoding, "identity")) {
    return fail(Code::kUnsupported, "{}: found content-encoding '{}', expected none", who(),
                std::string(encoding));
  }
  return {};
}

Status Call::take(std::string_view piece) {
  if (piece.empty()) return {};
  if (!request_.on_body || response_.status / 100 != 2) {
    response_.body.append(piece);
  } else if (!request_.on_body(piece)) {
    return fail(Code::kCancelled, "{}: the caller stopped the answer", who());
  }
  return {};
}

template <class Stream>
awaitable<Status> Call::read_body(Stream& stream, http::response_parser<http::buffer_body>& parser) {
  char piece[16 << 10];
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece;
    body.size = sizeof piece;
    link_.tcp_layer().expires_after(options_.read_timeout);
    auto [ec, n] = co_await http::async_read_some(stream, link_.buffer, parser, kTuple);
    if (ec && ec != http::error::need_buffer)
      co_return broken("reading the answer", ec, options_.read_timeout);
    if (Status taken = take({piece, sizeof piece - body.size}); !taken) co_return taken;
  }
  co_return Status{};
}

template <class Stream>
awaitable<Status> Call::transact(Stream& stream) {
  std::string bytes = wire();
  trace_.request_sent = true;
  link_.tcp_layer().expires_after(options_.read_timeout);
  auto [write_error, written] = co_await asio::async_write(stream, asio::buffer(bytes), kTuple);
  if (write_error) {
    trace_.request_sent = written > 0;
    co_return broken("sending the request", write_error, options_.read_timeout);
  }
  std::optional<http::response_parser<http::buffer_body>> parser;
  do {  // interim answers (1xx) come before the one that counts
    parser.emplace();
    parser->header_limit(static_cast<uint32_t>(options_.max_header_bytes));
    parser->body_limit(options_.max_body_bytes);
    parser->skip(request_.method == "HEAD");
    link_.tcp_layer().expires_after(options_.first_byte_timeout);
    auto [ec, n] = co_await http::async_read_header(stream, link_.buffer, *parser, kTuple);
    trace_.answer_begun = n > 0;
    if (ec) co_return broken("waiting for the answer", ec, options_.first_byte_timeout);
  } while (parser->get().result_int() / 100 == 1 && parser->get().result_int() != 101);
  if (Status head = take_head(parser->get()); !head) co_return head;
  if (Status body = co_await read_body(stream, *parser); !body) co_return body;
  reusable_ = parser->keep_alive() && link_.buffer.size() == 0;
  co_return Status{};
}

awaitable<Status> Call::all(bool fresh) {
  if (fresh) {
    auto until = Clock::now() + options_.connect_timeout;
    // The look-up blocks this thread, which has nothing else to do; it keeps to the time limit and the stop
    // token.
    auto limit = request_.deadline ? std::min(until, *request_.deadline) : until;
    auto addresses = resolve(request_.url.host, request_.url.port, limit, request_.cancel);
    if (!addresses && request_.deadline && Clock::now() >= *request_.deadline) {
      co_return fail(Code::kCancelled, "{}: the deadline passed while looking up the name", who());
    }
    if (!addresses) co_return std::unexpected(std::move(addresses).error());
    if (Status s = co_await connect(std::move(*addresses), until); !s) co_return s;
    if (link_.tls) {
      if (Status s = co_await handshake(until); !s) co_return s;
    }
  }
  if (link_.tls) co_return co_await transact(*link_.tls);
  co_return co_await transact(*link_.plain);
}

Result<ClientResponse> Call::run(bool fresh) {
  if (request_.cancel.stop_requested()) return fail(Code::kCancelled, "{}: cancelled", who());
  link_.io.restart();
  asio::steady_timer deadline(link_.io);
  if (request_.deadline) {
    deadline.expires_at(*request_.deadline);
    deadline.async_wait([this](error_code ec) {
      if (ec) return;
      expired_ = true;
      close();
    });
  }
  std::exception_ptr thrown;
  asio::co_spawn(link_.io, all(fresh), [&](std::exception_ptr e, Status status) {
    thrown = e;
    status_ = std::move(status);
    deadline.cancel();
  });
  {
    std::stop_callback on_cancel(request_.cancel, [this] { close(); });
    link_.io.run();
  }
  if (thrown) std::rethrow_exception(thrown);
  if (!status_) return std::unexpected(std::move(status_).error());
  return std::move(response_);
}

class Client final : public HttpClient {
 public:
  explicit Client(ClientOptions options) : options_(std::move(options)) {}

  Status set_up() {
    error_code ec;
    context_.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                         ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    context_.set_verify_mode(ssl::verify_peer);
    if (options_.ca_file.empty()) {
      context_.set_default_verify_paths(ec);
    } else {
      context_.load_verify_file(options_.ca_file, ec);
    }
    if (!ec) return {};
    bool missing =
        ec.category() == boost::system::system_category() || ::access(options_.ca_file.c_str(), R_OK) != 0;
    return fail(missing ? Code::kNotFound : Code::kCorrupt, "{}: found no PEM certificates: {}",
                options_.ca_file, ec.message());
  }

  Result<ClientResponse> send(const ClientRequest& request, CallTrace* trace) override {
    CallTrace local;
    CallTrace& t = trace ? *trace : local;
    t = {};
    try {
      auto link = take_idle(request.url);
      t.reused = link != nullptr;
      if (!link) {
        link = std::make_unique<Link>(request.url, context_);
        link->key = key_of(request.url);
      }
      Call call(*link, options_, request, t);
      auto result = call.run(!t.reused);
      if (call.reusable()) keep(std::move(link));
      return result;
    } catch (const std::exception& e) {
      return fail(Code::kUnavailable, "{}: {}", request.url.authority(), e.what());
    }
  }

 private:
  static std::string key_of(const Url& url) { return (url.tls ? "https://" : "http://") + url.authority(); }

  std::unique_ptr<Link> take_idle(const Url& url) {
    std::string key = key_of(url);
    std::lock_guard lock(mutex_);
    auto now = Clock::now();
    std::erase_if(idle_, [&](const auto& link) {
      return now - link->idle_since > options_.keep_alive || !link->usable();
    });
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if ((*it)->key != key) continue;
      auto link = std::move(*it);
      idle_.erase(it);
      return link;
    }
    return nullptr;
  }

  void keep(std::unique_ptr<Link> link) {
    link->tcp_layer().expires_never();
    link->idle_since = Clock::now();
    std::lock_guard lock(mutex_);
    idle_.push_front(std::move(link));  // the one used last is the least likely to have been closed
    if (idle_.size() > kMaxIdle) idle_.pop_back();
  }

  ClientOptions options_;
  ssl::context context_{ssl::context::tls_client};
  std::mutex mutex_;
  std::list<std::unique_ptr<Link>> idle_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::create(ClientOptions options) {
  try {
    auto client = std::make_unique<Client>(std::move(options));
    BANTAM_TRY(client->set_up());
    return client;
  } catch (const std::exception& e) {
    return fail(Code::kInternal, "HTTP client: {}", e.what());
  }
}

}  // namespace bantam::net
