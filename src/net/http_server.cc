#include "net/http_server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <ranges>
#include <thread>

#include "net/server_connection.h"

namespace bantam::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr unsigned kMostThreads = 64;

ServerResponse plain_error(const ServerRequest&, int status, const std::string& message) {
  return {status, {{"content-type", "text/plain; charset=utf-8"}}, message + "\n"};
}

class Server final : public HttpServer {
 public:
  Server(ServerOptions options, std::vector<Route> routes) {
    host_.options = std::move(options);
    host_.routes = std::move(routes);
    if (!host_.options.error_response) host_.options.error_response = plain_error;
  }

  Status open();
  uint16_t port() const override { return port_; }
  Status run(std::stop_token stop) override;
  Load load() const override { return {host_.open.load(), host_.busy.load(), host_.draining.load()}; }

 private:
  Status open_tls();
  Awaitable<void> accept();
  void take(ConnectionLoop& loop, tcp::socket socket);
  Awaitable<void> drain();
  Status serve(ConnectionLoop& loop);
  ConnectionLoop& least_busy();
  /// Does so with every connection, each on its thread.
  template <class F>
  void for_connections(F f);
  asio::io_context& io() { return loops_.front()->io; }  // where connections are accepted

  ConnectionHost host_;  // outlives the loops, whose end destroys the connections
  std::optional<asio::ssl::context> tls_;
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<ConnectionLoop>> loops_;
  std::optional<tcp::acceptor> acceptor_;
  std::optional<asio::steady_timer> drain_timer_;
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
  if (options.threads < 1 || options.threads > kMostThreads) {
    return fail(Code::kInvalidArgument, "threads: found {}, expected 1..{}", options.threads, kMostThreads);
  }
  for (unsigned i = 0; i < options.threads; ++i) loops_.push_back(std::make_unique<ConnectionLoop>());
  acceptor_.emplace(io());
  drain_timer_.emplace(io());
  tcp::endpoint endpoint(address, options.port);
  acceptor_->open(endpoint.protocol(), ec);
  if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_->bind(endpoint, ec);
  if (!ec) acceptor_->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(Code::kIo, "cannot listen on {} port {}: {}", options.host, options.port, ec.message());
  port_ = acceptor_->local_endpoint(ec).port();
  return {};
}

ConnectionLoop& Server::least_busy() {
  return **std::min_element(loops_.begin(), loops_.end(),
                            [](const auto& a, const auto& b) { return a->open < b->open; });
}

Awaitable<void> Server::accept() {
  for (;;) {
    ConnectionLoop& loop = least_busy();
    auto [ec, socket] = co_await acceptor_->async_accept(loop.io, kTuple);
    if (host_.draining) co_return;
    if (ec) {
      // Out of descriptors or the like: it may pass, and trying at once would only burn the processor.
      asio::steady_timer pause(io(), std::chrono::milliseconds(50));
      co_await pause.async_wait(kTuple);
      continue;
    }
    take(loop, std::move(socket));
  }
}

void Server::take(ConnectionLoop& loop, tcp::socket socket) {
  asio::dispatch(loop.io, [&loop, place = Place(host_, loop), socket = std::move(socket)]() mutable {
    auto connection = std::make_shared<Connection>(std::move(place), std::move(socket));
    asio::co_spawn(loop.io, Connection::serve(std::move(connection)), asio::detached);
  });
}

template <class F>
void Server::for_connections(F f) {
  for (const auto& loop : loops_) {
    asio::post(loop->io, [&loop = *loop, f] {
      const std::vector<Connection*> all(loop.connections.begin(), loop.connections.end());
      for (Connection* connection : all) f(*connection);
    });
  }
}

Awaitable<void> Server::drain() {
  host_.draining = true;
  error_code ignored;
  acceptor_->close(ignored);
  for_connections([](Connection& c) { c.close_if_idle(); });
  auto wait = [this](Clock::duration longest) -> Awaitable<void> {
    auto until = Clock::now() + longest;
    while (host_.open > 0 && Clock::now() < until) {
      drain_timer_->expires_after(std::chrono::milliseconds(10));
      co_await drain_timer_->async_wait(kTuple);
    }
  };
  co_await wait(host_.options.drain_timeout);
  for_connections([](Connection& c) { c.cancel(); });
  co_await wait(std::chrono::seconds(2));
  for_connections([](Connection& c) { c.close(); });
}

/// An exception ends all loops.
Status Server::serve(ConnectionLoop& loop) {
  try {
    loop.io.run();
    return {};
  } catch (const std::exception& e) {
    for (const auto& other : loops_) other->io.stop();
    return fail(Code::kInternal, "HTTP server: {}", e.what());
  }
}

Status Server::run(std::stop_token stop) {
  try {
    asio::co_spawn(io(), accept(), asio::detached);
    std::stop_callback on_stop(
        stop, [this] { asio::post(io(), [this] { asio::co_spawn(io(), drain(), asio::detached); }); });
    std::mutex mutex;
    Status all;
    // A loop without connections waits for some. The thread comes first, so that its end is waited for last.
    std::vector<std::pair<std::jthread, asio::executor_work_guard<asio::io_context::executor_type>>> others;
    for (const auto& loop : loops_ | std::views::drop(1)) {
      auto work = asio::make_work_guard(loop->io);
      std::jthread thread([&, at = loop.get()] {
        Status status = serve(*at);
        std::lock_guard lock(mutex);
        if (!status) all = std::move(status);
      });
      others.emplace_back(std::move(thread), std::move(work));
    }
    Status first = serve(*loops_.front());
    for (auto& [thread, work] : others) work.reset();
    others.clear();
    return first ? all : first;
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
