#include "net/http_server.h"

#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/server_connection.h"

namespace bantam::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

ServerResponse plain_error(const ServerRequest&, int status, const std::string& message) {
  return {status, {{"content-type", "text/plain; charset=utf-8"}}, message + "\n"};
}

class Server final : public HttpServer {
 public:
  Server(ServerOptions options, std::vector<Route> routes) : acceptor_(io_), drain_timer_(io_) {
    host_.options = std::move(options);
    host_.routes = std::move(routes);
    host_.io = &io_;
    if (!host_.options.error_response) host_.options.error_response = plain_error;
  }

  Status open();
  uint16_t port() const override { return port_; }
  Status run(std::stop_token stop) override;
  Load load() const override { return {host_.open.load(), host_.busy.load(), host_.draining.load()}; }

 private:
  Status open_tls();
  Awaitable<void> accept();
  Awaitable<void> drain();
  std::vector<Connection*> connections() const {
    return {host_.connections.begin(), host_.connections.end()};
  }

  ConnectionHost host_;  // outlives io_, whose end destroys the connections
  std::optional<asio::ssl::context> tls_;
  uint16_t port_ = 0;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer drain_timer_;
};

Status Server::open_tls() {
  const ServerOptions& options = host_.options;
  if (options.certificate_file.empty()) return {};
  error_code ec;
  tls_.emplace(asio::ssl::context::tls_server);
  tls_->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                    asio::ssl::context::no_tlsv1_1);
  auto refuse = [&](const std::string& file, std::string_view what) {
    bool missing = ::access(file.c_str(), R_OK) != 0;
    return fail(missing ? Code::kNotFound : Code::kCorrupt, "{}: {}: {}", file, what, ec.message());
  };
  tls_->use_certificate_chain_file(options.certificate_file, ec);
  if (ec) return refuse(options.certificate_file, "found no PEM certificate");
  tls_->use_private_key_file(options.key_file, asio::ssl::context::pem, ec);
  if (ec) return refuse(options.key_file, "found no PEM key that fits the certificate");
  host_.tls = &*tls_;
  return {};
}

Status Server::open() {
  BANTAM_TRY(open_tls());
  const ServerOptions& options = host_.options;
  error_code ec;
  auto address = asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, ec);
  if (ec)
    return fail(Code::kInvalidArgument, "host: found '{}', expected an IP address or localhost",
                options.host);
  if (options.max_header_bytes < 1024 || options.max_header_bytes > (1U << 20)) {
    return fail(Code::kInvalidArgument, "max_header_bytes: found {}, expected 1024..1048576",
                options.max_header_bytes);
  }
  tcp::endpoint endpoint(address, options.port);
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(Code::kIo, "cannot listen on {} port {}: {}", options.host, options.port, ec.message());
  port_ = acceptor_.local_endpoint(ec).port();
  return {};
}

Awaitable<void> Server::accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTuple);
    if (host_.draining) co_return;
    if (ec) {
      // Out of descriptors or the like: it may pass, and trying at once would only burn the processor.
      asio::steady_timer pause(io_, std::chrono::milliseconds(50));
      co_await pause.async_wait(kTuple);
      continue;
    }
    bool full = host_.connections.size() >= host_.options.max_connections;
    auto connection = std::make_shared<Connection>(host_, std::move(socket));
    asio::co_spawn(io_, Connection::serve(std::move(connection), full), asio::detached);
  }
}

Awaitable<void> Server::drain() {
  host_.draining = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (Connection* c : connections()) c->close_if_idle();
  auto wait = [this](Clock::duration longest) -> Awaitable<void> {
    auto until = Clock::now() + longest;
    while (!host_.connections.empty() && Clock::now() < until) {
      drain_timer_.expires_after(std::chrono::milliseconds(10));
      co_await drain_timer_.async_wait(kTuple);
    }
  };
  co_await wait(host_.options.drain_timeout);
  for (Connection* c : connections()) c->cancel();
  co_await wait(std::chrono::seconds(2));
  for (Connection* c : connections()) c->close();
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

Handler plain_handler(std::function<void(Exchange&)> handler) {
  return [handler = std::move(handler)](Exchange& e) -> Awaitable<void> {
    handler(e);
    co_return;
  };
}

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
