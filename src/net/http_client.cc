#include "net/http_client.h"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cstring>
#include <filesystem>

#include "net/link_cache.h"
#include "net/resolve.h"

namespace bantam::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

/// What ends a call from outside of its coroutine: the stop token, from any thread.
struct Abort {
  Link* link;
  bool closing = false;
  void close() {
    closing = true;
    link->socket.close();
  }
};

/// One request and its answer over a link.
class Call {
 public:
  Call(Link& link, const ClientOptions& options, const ClientRequest& request, CallTrace& trace)
      : link_(link),
        options_(options),
        request_(request),
        trace_(trace),
        abort_(std::make_shared<Abort>(Abort{&link})) {}

  Awaitable<Result<ClientResponse>> run(bool fresh);
  bool reusable() const { return reusable_ && !abort_->closing; }

 private:
  Awaitable<Status> open();
  Awaitable<Status> connect(std::vector<SocketAddress> addresses, Clock::time_point until);
  Awaitable<Status> tunnel(const Proxy& proxy, Clock::time_point until);
  Awaitable<Status> handshake(Clock::time_point until);
  using Parser = http::response_parser<http::buffer_body>;
  Awaitable<Status> transact();
  Awaitable<Status> read_head(Parser& parser);
  Awaitable<Status> read_body(Parser& parser);
  Awaitable<error_code> more(Parser& parser, std::chrono::milliseconds limit);
  Awaitable<Status> take(std::string_view piece);
  Status take_head(const http::response_header<>& head);
  std::string head() const;
  /// A time limit that begins now, or the deadline.
  Clock::time_point until(std::chrono::milliseconds limit) const {
    auto out = Clock::now() + limit;
    return request_.deadline ? std::min(out, *request_.deadline) : out;
  }
  bool expired() const { return request_.deadline && Clock::now() >= *request_.deadline; }
  std::unexpected<Error> broken(std::string_view doing, error_code ec, std::chrono::milliseconds limit) const;
  std::string who() const { return request_.url.authority(); }
  const Proxy* proxy() const { return options_.proxies.of(request_.url); }
  size_t body_limit() const { return request_.max_body_bytes.value_or(options_.max_body_bytes); }

  Link& link_;
  const ClientOptions& options_;
  const ClientRequest& request_;
  CallTrace& trace_;
  std::shared_ptr<Abort> abort_;  // handlers that come late find it gone
  ClientResponse response_;
  bool reusable_ = false;
};

std::unexpected<Error> Call::broken(std::string_view doing, error_code ec,
                                    std::chrono::milliseconds limit) const {
  if (request_.cancel.stop_requested()) return fail(Code::kCancelled, "{}: cancelled", who());
  if (expired())  // whatever else came of it
    return fail(Code::kCancelled, "{}: the deadline passed while {}", who(), doing);
  if (link_.socket.timed_out()) {
    return fail(Code::kUnavailable, "{}: nothing happened for {} ms while {}", who(), limit.count(), doing);
  }
  if (ec == http::error::end_of_stream || ec == http::error::partial_message || ec == asio::error::eof) {
    return fail(Code::kUnavailable, "{}: the connection was closed while {}", who(), doing);
  }
  if (ec == http::error::body_limit)
    return fail(Code::kLimit, "{}: the answer is longer than {} bytes", who(), body_limit());
  if (ec == http::error::header_limit) {
    return fail(Code::kLimit, "{}: the answer's header is longer than {} bytes", who(),
                options_.max_header_bytes);
  }
  return fail(Code::kUnavailable, "{}: {} while {}", who(), ec.message(), doing);
}

Awaitable<Status> Call::connect(std::vector<SocketAddress> addresses, Clock::time_point until) {
  Socket& socket = link_.socket;
  error_code last;
  for (size_t i = 0; i < addresses.size() && !abort_->closing; ++i) {
    tcp::endpoint endpoint;
    if (addresses[i].size > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), &addresses[i].storage, addresses[i].size);
    endpoint.resize(addresses[i].size);
    socket.close();  // of the address before
    // Each address gets an equal share of what is left, so that a dead one does not use up the others' time.
    auto now = Clock::now();
    socket.expires_at(now + (until - now) / static_cast<int>(addresses.size() - i));
    auto [ec] = co_await socket.tcp().async_connect(endpoint, kTuple);
    last = ec;
    if (!ec) break;
  }
  socket.expires_never();
  if (last || abort_->closing) co_return broken("connecting", last, options_.connect_timeout);
  socket.set_up();
  co_return Status{};
}

Awaitable<Status> Call::tunnel(const Proxy& proxy, Clock::time_point until) {
  const std::string host = request_.url.host.find(':') == std::string::npos
                               ? request_.url.host
                               : fmt::format("[{}]", request_.url.host);
  const std::string to = fmt::format("{}:{}", host, request_.url.port);
  std::string bytes = fmt::format("CONNECT {} HTTP/1.1\r\n", to);
  write_field(bytes, "host", to);
  if (!proxy.authorization.empty()) write_field(bytes, "proxy-authorization", proxy.authorization);
  bytes += "\r\n";
  link_.socket.expires_at(until);
  auto [write_error, written] = co_await asio::async_write(link_.socket.tcp(), asio::buffer(bytes), kTuple);
  if (write_error) co_return broken("speaking to the proxy", write_error, options_.connect_timeout);
  http::response_parser<http::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser.skip(true);
  auto [ec, n] = co_await http::async_read_header(link_.socket.tcp(), link_.buffer, parser, kTuple);
  link_.socket.expires_never();
  if (ec) co_return broken("waiting for the proxy", ec, options_.connect_timeout);
  const unsigned status = parser.get().result_int();
  if (status / 100 != 2 || link_.buffer.size() != 0) {
    co_return fail(status == 407 ? Code::kDenied : Code::kUnavailable,
                   "{}: the proxy {} answered {} {}, expected 200", who(), proxy.url.authority(), status,
                   std::string(parser.get().reason()));
  }
  co_return Status{};
}

Awaitable<Status> Call::handshake(Clock::time_point until) {
  const std::string& host = request_.url.host;
  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  SSL* handle = link_.socket.tls()->native_handle();
  if (not_an_address && SSL_set_tlsext_host_name(handle, host.c_str()) != 1) {
    co_return fail(Code::kUnavailable, "{}: the host name cannot be sent for TLS", who());
  }
  link_.socket.tls()->set_verify_callback(ssl::host_name_verification(host));
  link_.socket.expires_at(until);
  auto [ec] = co_await link_.socket.tls()->async_handshake(ssl::stream_base::client, kTuple);
  link_.socket.expires_never();
  if (!ec) co_return Status{};
  if (long verdict = SSL_get_verify_result(handle); verdict != X509_V_OK && !abort_->closing) {
    trace_.certificate_refused = true;
    co_return fail(Code::kUnavailable, "{}: the certificate is not accepted: {}", who(),
                   X509_verify_cert_error_string(verdict));
  }
  co_return broken("setting up TLS", ec, options_.connect_timeout);
}

std::string Call::head() const {
  auto ours = [](std::string_view name) {
    return equal_without_case(name, "host") || equal_without_case(name, "connection") ||
           equal_without_case(name, "content-length");
  };
  std::string out;
  out.reserve(512);
  const Proxy* by = request_.url.tls ? nullptr : proxy();  // it wants the whole URL
  out.append(request_.method).append(" ");
  if (by) out.append("http://").append(request_.url.authority());
  out.append(request_.url.target).append(" HTTP/1.1\r\n");
  for (const auto& [name, value] : request_.headers) {
    if (!ours(name)) write_field(out, name, value);
  }
  write_field(out, "host", request_.url.authority());
  write_field(out, "connection", "keep-alive");
  if (!request_.body.empty() || request_.method == "POST")
    write_field(out, "content-length", std::to_string(request_.body.size()));
  if (by && !by->authorization.empty()) write_field(out, "proxy-authorization", by->authorization);
  return out.append("\r\n");
}

Status Call::take_head(const http::response_header<>& head) {
  response_.status = static_cast<int>(head.result_int());
  response_.headers.reserve(16);
  for (const auto& field : head)
    response_.headers.add(std::string(field.name_string()), std::string(field.value()));
  std::string_view encoding = response_.headers.get("content-encoding").value_or("identity");
  if (!equal_without_case(encoding, "identity")) {
    return fail(Code::kUnsupported, "{}: found content-encoding '{}', expected none", who(),
                std::string(encoding));
  }
  return request_.on_head ? request_.on_head(response_) : Status{};
}

Awaitable<Status> Call::take(std::string_view piece) {
  if (piece.empty()) co_return Status{};
  if (!request_.on_body || response_.status / 100 != 2) {
    // A request may allow more than is fit to be held in memory: for what on_body takes.
    if (response_.body.size() + piece.size() > options_.max_body_bytes)
      co_return fail(Code::kLimit, "{}: the answer is longer than {} bytes", who(), options_.max_body_bytes);
    response_.body.append(piece);
    co_return Status{};
  }
  bool go_on = co_await request_.on_body(piece);
  if (!go_on) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", who());
  co_return Status{};
}

/// Waits for bytes and puts them into the link's buffer, or tells the parser of the end.
Awaitable<error_code> Call::more(Parser& parser, std::chrono::milliseconds limit) {
  link_.socket.expires_at(until(limit));
  auto room = link_.buffer.prepare(link_.piece.size());
  auto [ec, n] = co_await link_.socket.async_read_some(room, kTuple);
  link_.socket.expires_never();
  link_.buffer.commit(n);
  trace_.answer_begun |= n > 0;
  if (ec != asio::error::eof) co_return ec;
  if (!parser.got_some()) co_return http::error::end_of_stream;
  error_code cut_short;
  parser.put_eof(cut_short);
  co_return cut_short;
}

Awaitable<Status> Call::read_head(Parser& parser) {
  for (;;) {
    error_code ec = http::error::need_more;
    if (link_.buffer.size() > 0) link_.buffer.consume(parser.put(link_.buffer.data(), ec));
    if (ec && ec != http::error::need_more)
      co_return broken("waiting for the answer", ec, options_.first_byte_timeout);
    if (parser.is_header_done()) co_return Status{};
    ec = co_await more(parser, options_.first_byte_timeout);
    if (ec) co_return broken("waiting for the answer", ec, options_.first_byte_timeout);
  }
}

Awaitable<Status> Call::read_body(Parser& parser) {
  parser.eager(true);
  while (!parser.is_done()) {
    error_code ec = http::error::need_more;
    if (link_.buffer.size() > 0) {
      auto& body = parser.get().body();
      body.data = link_.piece.data();
      body.size = link_.piece.size();
      link_.buffer.consume(parser.put(link_.buffer.data(), ec));
      // What the parser wants is room for the body, or nothing: then it goes on with what is left.
      if (ec == http::error::need_buffer) ec = {};
      if (ec && ec != http::error::need_more)
        co_return broken("reading the answer", ec, options_.read_timeout);
      Status taken = co_await take({link_.piece.data(), link_.piece.size() - body.size});
      if (!taken) co_return taken;
      if (parser.is_done()) break;
    }
    if (ec != http::error::need_more && link_.buffer.size() > 0) continue;
    ec = co_await more(parser, options_.read_timeout);
    if (ec) co_return broken("reading the answer", ec, options_.read_timeout);
  }
  co_return Status{};
}

Awaitable<Status> Call::transact() {
  const std::string bytes = head();
  trace_.request_sent = true;
  auto limit = std::chrono::ceil<std::chrono::milliseconds>(until(options_.read_timeout) - Clock::now());
  auto sent = co_await link_.socket.send(bytes, request_.body, limit);
  if (sent.error) {
    trace_.request_sent = sent.bytes > 0;
    co_return broken("sending the request", sent.error, options_.read_timeout);
  }
  std::optional<Parser> parser;
  do {  // interim answers (1xx) come before the one that counts
    parser.emplace();
    parser->header_limit(static_cast<uint32_t>(options_.max_header_bytes));
    parser->body_limit(body_limit());
    parser->skip(request_.method == "HEAD");
    Status come = co_await read_head(*parser);
    if (!come) co_return come;
  } while (parser->get().result_int() / 100 == 1 && parser->get().result_int() != 101);
  if (Status head = take_head(parser->get()); !head) co_return head;
  Status body = co_await read_body(*parser);
  if (!body) co_return body;
  reusable_ = parser->keep_alive() && link_.buffer.size() == 0;
  co_return Status{};
}

Awaitable<Status> Call::open() {
  auto limit = until(options_.connect_timeout);
  const Proxy* by = proxy();
  const Url& first = by ? by->url : request_.url;
  auto addresses = co_await resolve(first.host, first.port, limit, request_.cancel);
  if (!addresses && expired()) {
    co_return fail(Code::kCancelled, "{}: the deadline passed while looking up the name", who());
  }
  if (!addresses) co_return std::unexpected(std::move(addresses).error());
  Status connected = co_await connect(std::move(*addresses), limit);
  if (!connected || !link_.socket.tls()) co_return connected;
  if (by) {
    Status through = co_await tunnel(*by, limit);
    if (!through) co_return through;
  }
  co_return co_await handshake(limit);
}

Awaitable<Result<ClientResponse>> Call::run(bool fresh) {
  if (request_.cancel.stop_requested()) co_return fail(Code::kCancelled, "{}: cancelled", who());
  if (expired()) co_return fail(Code::kCancelled, "{}: the deadline passed before the call was made", who());
  auto executor = co_await asio::this_coro::executor;
  std::stop_callback on_cancel(request_.cancel, [executor, weak = std::weak_ptr(abort_)] {
    asio::post(executor, [weak] {
      if (auto abort = weak.lock()) abort->close();
    });
  });
  if (fresh) {
    Status opened = co_await open();
    if (!opened) co_return std::unexpected(std::move(opened).error());
  }
  Status done = co_await transact();
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return std::move(response_);
}

class Client final : public HttpClient {
 public:
  explicit Client(ClientOptions options) : options_(std::move(options)) {}

  Status set_up() {
    error_code ec;
    context_->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                          ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    context_->set_verify_mode(ssl::verify_peer);
    if (options_.ca_file.empty() && options_.ca_folder.empty()) context_->set_default_verify_paths(ec);
    if (!options_.ca_folder.empty()) {
      if (!std::filesystem::is_directory(options_.ca_folder, ec))
        return fail(Code::kNotFound, "{}: found no folder, expected one of certificates", options_.ca_folder);
      context_->add_verify_path(options_.ca_folder, ec);
    }
    if (!ec && !options_.ca_file.empty()) context_->load_verify_file(options_.ca_file, ec);
    if (!ec) return {};
    bool missing =
        ec.category() == boost::system::system_category() || ::access(options_.ca_file.c_str(), R_OK) != 0;
    return fail(missing ? Code::kNotFound : Code::kCorrupt, "{}: found no PEM certificates: {}",
                options_.ca_file, ec.message());
  }

  Awaitable<Result<ClientResponse>> send(const ClientRequest& request, CallTrace* trace) override {
    CallTrace local;
    CallTrace& t = trace ? *trace : local;
    t = {};
    try {
      auto executor = co_await asio::this_coro::executor;
      LinkCache& cache = LinkCache::of(executor);
      std::string key = key_of(request.url);
      auto link = cache.take(key, options_.keep_alive);
      t.reused = link != nullptr;
      if (!link) link = std::make_unique<Link>(executor, request.url.tls ? context_ : nullptr);
      Call call(*link, options_, request, t);
      auto result = co_await call.run(!t.reused);
      if (call.reusable()) cache.keep(key, std::move(link), options_.max_idle);
      co_return result;
    } catch (const std::exception& e) {
      co_return fail(Code::kUnavailable, "{}: {}", request.url.authority(), e.what());
    }
  }

 private:
  /// Clients share no connections: each has limits and certificates of its own.
  std::string key_of(const Url& url) const {
    return std::to_string(id_) + (url.tls ? " https://" : " http://") + url.authority();
  }

  inline static std::atomic<uint64_t> next_id_{0};
  const uint64_t id_ = next_id_++;
  ClientOptions options_;
  std::shared_ptr<ssl::context> context_ = std::make_shared<ssl::context>(ssl::context::tls_client);
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
