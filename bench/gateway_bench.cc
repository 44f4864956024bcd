// What going through the server costs: the same client asks an API that answers at once directly and through
// `bantam`, in turns. Three processes, so that each has threads of its own: the API, the server, the client.
// The API is net::HttpServer; the client is a loop over bare sockets, so that it takes little of the
// processors which it shares with what it measures. Beside times and rates stands the processor time that the
// server and the API used for a request, which depends less on what else the machine does.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/usage.h"
#include "net/http_server.h"
#include "net/signal_stop.h"
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
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  uint16_t port() const { return port_; }
  /// Of all its threads so far.
  double cpu_seconds() const {
    clockid_t clock;
    timespec used{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  }

 private:
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

void tell(int pipe, uint16_t port) {
  if (::write(pipe, &port, sizeof port) != sizeof port) ::_exit(1);
}

/// In the child, to its end.
template <class Server>
void serve_until_told(Server& server) {
  auto signals = net::SignalStop::install();
  if (signals && server.run(signals->token())) ::_exit(0);
}

void serve_api(int pipe) {
  auto server = net::HttpServer::listen({}, {{"POST", "/v1/chat/completions", answer}});
  if (!server) return;
  tell(pipe, (*server)->port());
  serve_until_told(**server);
}

/// What of the server takes part beside the calls themselves.
struct Parts {
  std::string folder;  // where a ledger and an audit log are; empty: none
  unsigned threads = 0;  // io_threads
  bool log = false;    // a line for each request and answer, to a sink that drops it
};

void serve_gateway(int pipe, uint16_t api_port, const Parts& parts) {
  server::ServerConfig config;
  config.port = 0;
  config.io_threads = parts.threads;
  if (!parts.folder.empty()) {
    config.policy.ledger = parts.folder + "/ledger.db";
    config.policy.audit = parts.folder + "/audit.jsonl";
  }
  server::ModelConfig model;
  model.name = "llm";
  model.url = fmt::format("http://127.0.0.1:{}/v1", api_port);
  config.models.push_back(model);
  server::LogSink sink;
  if (parts.log) sink = [](std::string_view) {};
  auto server = server::Server::open(config, sink);
  if (!server) {
    fmt::print(stderr, "{}\n", server.error().message);
    return;
  }
  tell(pipe, net::parse_url((*server)->url())->port);
  serve_until_told(**server);
}

/// One client: a connection of its own that sends a request, waits for the whole answer, and sends the next.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    open_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int fd() const { return fd_; }
  double started() const { return started_; }
  /// Whether the answer that has come is one of status 200.
  bool good() const { return answer_.starts_with("HTTP/1.1 200 "); }
  /// False when the connection is of no more use.
  bool send(const std::string& request) {
    answer_.clear();
    started_ = wall_seconds();
    return open_ &&
           ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
  }
  /// Takes what has come: true once that is the whole answer, or the connection is of no more use.
  bool receive() {
    char piece[16 << 10];
    ssize_t n = ::recv(fd_, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (n <= 0) {
      open_ = false;
      answer_.clear();
      return true;
    }
    answer_.append(piece, static_cast<size_t>(n));
    return whole();
  }

 private:
  /// By content-length, or by the last chunk.
  bool whole() const {
    size_t end = answer_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    constexpr std::string_view kLength = "content-length: ";
    size_t length = answer_.find(kLength);
    if (length == std::string::npos || length > end) return answer_.ends_with("\r\n0\r\n\r\n");
    size_t bytes = 0;
    std::from_chars(answer_.data() + length + kLength.size(), answer_.data() + end, bytes);
    return answer_.size() >= end + 4 + bytes;
  }

  int fd_;
  bool open_ = false;
  double started_ = 0;
  std::string answer_;
};

/// One side of the comparison: who is asked, and what was seen.
struct Side {
  std::string name;
  uint16_t port;
  std::vector<double> seconds = {};
  uint64_t failed = 0;
  double wall = 0, gateway_cpu = 0, api_cpu = 0, own_cpu = 0;

  double quantile(double q) {
    size_t at = std::min(seconds.size() - 1, static_cast<size_t>(q * static_cast<double>(seconds.size())));
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<ptrdiff_t>(at), seconds.end());
    return seconds[at] * 1e3;
  }
  double each(double cpu) const { return cpu * 1e6 / static_cast<double>(seconds.size()); }
};

/// So many clients of one side, all from one thread.
class Load {
 public:
  Load(Side& side, size_t clients, bool stream) : side_(side), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    std::string body = fmt::format(R"({{"model":"llm","messages":[{{"role":"user","content":"hi"}}]{}}})",
                                   stream ? R"(,"stream":true)" : "");
    request_ = fmt::format(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\n"
        "content-length: {}\r\n\r\n{}",
        side.port, body.size(), body);
    for (size_t i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<Client>(side.port));
      epoll_event event{.events = EPOLLIN, .data = {.ptr = clients_.back().get()}};
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, clients_.back()->fd(), &event);
    }
  }
  ~Load() { ::close(poll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// `n` requests, whose times are kept or not.
  void run(size_t n, bool keep) {
    double start = wall_seconds();
    size_t left = n, open = 0;
    auto next = [&](Client& client) {
      if (left == 0) return;
      --left;
      if (client.send(request_))
        ++open;
      else
        ++side_.failed;
    };
    for (auto& client : clients_) next(*client);
    std::vector<epoll_event> events(clients_.size());
    while (open > 0) {
      int ready = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        Client& client = *static_cast<Client*>(events[static_cast<size_t>(i)].data.ptr);
        if (!client.receive()) continue;
        --open;
        side_.failed += !client.good();
        if (keep) side_.seconds.push_back(wall_seconds() - client.started());
        next(client);
      }
    }
    if (keep) side_.wall += wall_seconds() - start;
  }

 private:
  Side& side_;
  int poll_;
  std::string request_;
  std::vector<std::unique_ptr<Client>> clients_;
};

/// A part of one side's requests, with the processor time that each process used meanwhile.
void slice(Load& load, Side& side, size_t n, const Child& api, const Child& gateway) {
  double api_cpu = api.cpu_seconds(), gateway_cpu = gateway.cpu_seconds(), own_cpu = process_cpu_seconds();
  load.run(n, /*keep=*/true);
  side.api_cpu += api.cpu_seconds() - api_cpu;
  side.gateway_cpu += gateway.cpu_seconds() - gateway_cpu;
  side.own_cpu += process_cpu_seconds() - own_cpu;
}

/// Prints both rows of so many clients; the number of requests that failed.
uint64_t level(size_t clients, size_t requests, bool stream, const Child& api, const Child& gateway) {
  constexpr size_t kSlices = 20;  // so that whatever else the machine does falls on both sides
  Side direct{.name = "direct", .port = api.port()}, via{.name = "via bantam", .port = gateway.port()};
  Load loads[] = {{direct, clients, stream}, {via, clients, stream}};
  Side* sides[] = {&direct, &via};
  for (Load& load : loads) load.run(10 * clients + 100, /*keep=*/false);
  for (size_t i = 0; i < 2 * kSlices; ++i)
    slice(loads[i % 2], *sides[i % 2], (requests + kSlices - 1) / kSlices, api, gateway);
  for (Side* side : sides) {
    double p50 = side->quantile(0.5), p99 = side->quantile(0.99);
    std::string added(20, ' ');
    if (side == &via)
      added = fmt::format("{:9.3f}  {:9.3f}", p50 - direct.quantile(0.5), p99 - direct.quantile(0.99));
    fmt::print("{:7}  {:10}  {:10.0f}  {:8.3f}  {:8.3f}  {:20}  {:6}  {:6.1f}  {:6.1f}  {:6.1f}\n", clients,
               side->name, static_cast<double>(side->seconds.size()) / side->wall, p50, p99, added,
               side->failed, side->each(side->own_cpu), side->each(side->gateway_cpu),
               side->each(side->api_cpu));
  }
  return direct.failed + via.failed;
}

int run(const std::vector<size_t>& levels, size_t requests, bool stream, const Parts& parts) {
  Child api(serve_api);
  Child gateway([&](int pipe) { serve_gateway(pipe, api.port(), parts); });
  if (api.port() == 0 || gateway.port() == 0) {
    fmt::print(stderr, "a server did not start\n");
    return 1;
  }
  fmt::print(
      "{} requests for each row, {}{}{}; milliseconds, and at the end microseconds of processor time\n",
      requests, stream ? "streamed in 8 pieces" : "whole",
      parts.folder.empty() ? "" : ", with ledger and audit log", parts.log ? ", with log" : "");
  fmt::print("{:>7}  {:10}  {:>10}  {:>8}  {:>8}  {:>9}  {:>9}  {:>6}  {:>6}  {:>6}  {:>6}\n", "clients", "",
             "requests/s", "p50", "p99", "added p50", "added p99", "failed", "client", "bantam", "API");
  uint64_t failed = 0;
  for (size_t clients : levels) failed += level(clients, requests, stream, api, gateway);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bantam

int main(int argc, char** argv) {
  std::vector<size_t> clients{1, 16, 64};
  size_t requests = 10'000;
  bool stream = false, ledger = false;
  bantam::Parts parts;
  CLI::App app("Latency that the server adds to a remote model's, on loopback");
  app.add_option("--clients", clients, "Clients at once")->delimiter(',')->capture_default_str();
  app.add_option("--requests", requests, "Requests for each row")->capture_default_str();
  app.add_flag("--stream", stream, "Ask for streamed answers");
  app.add_flag("--ledger", ledger, "With a ledger and an audit log, in a folder of their own under TMPDIR");
  app.add_option("--io-threads", parts.threads, "The server's; 0: its default")->capture_default_str();
  app.add_flag("--log", parts.log, "With the log's lines made, and dropped");
  CLI11_PARSE(app, argc, argv);
  if (ledger) {
    parts.folder = (std::filesystem::temp_directory_path() / "bantam-bench-XXXXXX").string();
    if (!::mkdtemp(parts.folder.data())) return 1;
  }
  int code = bantam::run(clients, requests, stream, parts);
  if (ledger) std::filesystem::remove_all(parts.folder);
  return code;
}
