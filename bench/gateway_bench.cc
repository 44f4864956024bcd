// What going through the server costs: the same client asks an API that answers at once directly and through
// `bantam`, in turns. Three processes, so that each has threads of its own: the API, the server, the client.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/usage.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "server/server.h"

namespace bantam {
namespace {

constexpr const char* kAnswer =
    R"({"id":"c","object":"chat.completion","created":1,"model":"llm","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"hello"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}})";

std::string stream_event(std::string_view delta, std::string_view finish, std::string_view usage = "") {
  return fmt::format(
      "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"llm\",\"choices\":"
      "[{{\"index\":0,\"delta\":{{{}}},\"finish_reason\":{}}}]{}}}\n\n",
      delta, finish, usage);
}

/// Answers every request at once; a stream in eight pieces.
net::Awaitable<void> answer(net::Exchange& e) {
  if (e.request().body.find("\"stream\":true") == std::string::npos) {
    e.respond({200, {{"content-type", "application/json"}}, kAnswer});
    co_return;
  }
  e.begin(200, {{"content-type", "text/event-stream"}});
  for (int i = 0; i < 8; ++i) co_await e.write(stream_event("\"content\":\"word \"", "null"));
  std::string usage = R"(,"usage":{"prompt_tokens":10,"completion_tokens":8,"total_tokens":18})";
  co_await e.write(stream_event("", "\"stop\"", usage) + "data: [DONE]\n\n");
}

/// A child process that tells its port and serves until this one ends.
class Child {
 public:
  explicit Child(const std::function<void(int pipe)>& serve) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      serve(ends[1]);
      ::_exit(1);  // only when it could not serve
    }
    ::close(ends[1]);
    if (::read(ends[0], &port_, sizeof port_) != sizeof port_) port_ = 0;
    ::close(ends[0]);
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  uint16_t port() const { return port_; }

 private:
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

void tell(int pipe, uint16_t port) {
  if (::write(pipe, &port, sizeof port) != sizeof port) ::_exit(1);
}

void serve_api(int pipe) {
  auto server = net::HttpServer::listen({}, {{"POST", "/v1/chat/completions", answer}});
  if (!server) return;
  tell(pipe, (*server)->port());
  (void)(*server)->run({});
}

void serve_gateway(int pipe, uint16_t api_port) {
  server::ServerConfig config;
  config.port = 0;
  server::ModelConfig model;
  model.name = "llm";
  model.url = fmt::format("http://127.0.0.1:{}/v1", api_port);
  config.models.push_back(model);
  auto server = server::Server::open(config);
  if (!server) return;
  tell(pipe, net::parse_url((*server)->url())->port);
  (void)(*server)->run({});
}

/// One side of the comparison: where it asks, and what it saw.
struct Side {
  std::string name;
  net::Url url;
  std::vector<double> seconds = {};
  uint64_t failed = 0;
  double wall = 0;

  double quantile(double q) {
    size_t at = std::min(seconds.size() - 1, static_cast<size_t>(q * static_cast<double>(seconds.size())));
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<ptrdiff_t>(at), seconds.end());
    return seconds[at] * 1e3;
  }
};

class Load {
 public:
  Load(net::HttpClient& client, bool stream) : client_(client) {
    body_ = fmt::format(R"({{"model":"llm","messages":[{{"role":"user","content":"hi"}}]{}}})",
                        stream ? R"(,"stream":true)" : "");
  }

  /// `n` requests by `clients` at once, each with its connection.
  void slice(Side& side, size_t n, size_t clients, bool keep) {
    double start = wall_seconds();
    left_ = n;
    for (size_t i = 0; i < clients; ++i) {
      boost::asio::co_spawn(io_, one_client(side, keep), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
      });
    }
    io_.restart();
    io_.run();
    if (keep) side.wall += wall_seconds() - start;
  }

 private:
  net::Awaitable<void> one_client(Side& side, bool keep) {
    while (left_ > 0) {
      --left_;
      net::ClientRequest request;
      request.method = "POST";
      request.url = side.url;
      request.headers.add("content-type", "application/json");
      request.body = body_;
      double start = wall_seconds();
      auto response = co_await client_.send(request);
      if (!keep) continue;
      side.failed += !response || response->status != 200;
      side.seconds.push_back(wall_seconds() - start);
    }
  }

  boost::asio::io_context io_{1};
  net::HttpClient& client_;
  std::string body_;
  size_t left_ = 0;
};

int run(const std::vector<size_t>& levels, size_t requests, bool stream) {
  // Before any thread of this process's own.
  Child api(serve_api);
  Child gateway([&](int pipe) { serve_gateway(pipe, api.port()); });
  if (api.port() == 0 || gateway.port() == 0) {
    fmt::print(stderr, "a server did not start\n");
    return 1;
  }
  auto client = net::HttpClient::create();
  if (!client) return 1;
  auto url = [](uint16_t port) {
    return *net::parse_url(fmt::format("http://127.0.0.1:{}/v1/chat/completions", port));
  };
  fmt::print("{} requests for each row, {}; milliseconds\n", requests,
             stream ? "streamed in 8 pieces" : "whole");
  fmt::print("{:>8}  {:10}  {:>10}  {:>8}  {:>8}  {:>9}  {:>9}  {:>6}\n", "clients", "", "requests/s", "p50",
             "p99", "added p50", "added p99", "failed");
  constexpr size_t kSlices = 20;  // so that whatever else the machine does falls on both sides
  uint64_t failed = 0;
  for (size_t clients : levels) {
    Side direct{.name = "direct", .url = url(api.port())},
        via{.name = "via bantam", .url = url(gateway.port())};
    Load load(**client, stream);
    for (Side* side : {&direct, &via}) load.slice(*side, 10 * clients + 100, clients, /*keep=*/false);
    for (size_t i = 0; i < kSlices; ++i) {
      for (Side* side : {&direct, &via}) load.slice(*side, (requests + kSlices - 1) / kSlices, clients, true);
    }
    for (Side* side : {&direct, &via}) {
      double p50 = side->quantile(0.5), p99 = side->quantile(0.99);
      std::string added;
      if (side == &via)
        added = fmt::format("{:9.3f}  {:9.3f}", p50 - direct.quantile(0.5), p99 - direct.quantile(0.99));
      fmt::print("{:8}  {:10}  {:10.0f}  {:8.3f}  {:8.3f}  {:20}  {:6}\n", clients, side->name,
                 static_cast<double>(side->seconds.size()) / side->wall, p50, p99, added, side->failed);
      failed += side->failed;
    }
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bantam

int main(int argc, char** argv) {
  std::vector<size_t> clients{1, 16, 64};
  size_t requests = 10'000;
  bool stream = false;
  CLI::App app("Latency that the server adds to a remote model's, on loopback");
  app.add_option("--clients", clients, "Clients at once")->delimiter(',')->capture_default_str();
  app.add_option("--requests", requests, "Requests for each row")->capture_default_str();
  app.add_flag("--stream", stream, "Ask for streamed answers");
  CLI11_PARSE(app, argc, argv);
  return bantam::run(clients, requests, stream);
}
