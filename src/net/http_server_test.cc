#include "net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <thread>

#include "base/usage.h"
#include "net/async_event.h"
#include "net/eventually_for_test.h"
#include "net/http_client.h"
#include "net/raw_socket_for_test.h"
#include "net/tls_for_test.h"

namespace bantam::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;
using Clock = std::chrono::steady_clock;

/// Everything holds with one I/O thread and with several.
class Servers : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override { threads = GetParam(); }

 public:
  static inline unsigned threads = 1;
};
INSTANTIATE_TEST_SUITE_P(Threads, Servers, testing::Values(1U, 3U));

class Serving {
 public:
  Serving(ServerOptions options, std::vector<Route> routes) {
    options.threads = std::max(options.threads, Servers::threads);
    options.on_access = [this](const AccessRecord& r) {
      std::lock_guard lock(mutex_);
      records_.push_back(r);
    };
    auto made = HttpServer::listen(std::move(options), std::move(routes));
    EXPECT_TRUE(made) << made.error().message;
    server_ = std::move(*made);
    thread_ = std::jthread([this] { EXPECT_TRUE(server_->run(stop_.get_token())); });
  }
  ~Serving() { stop(); }
  void stop() { stop_.request_stop(); }
  void join() { thread_.join(); }
  HttpServer& operator*() { return *server_; }
  RawSocket connect() { return RawSocket::connect(server_->port()); }
  /// The answer to raw bytes, up to the server's closing.
  std::string ask(std::string_view bytes) {
    RawSocket s = connect();
    s.send(bytes);
    return s.read_all();
  }
  std::vector<AccessRecord> records() {
    std::lock_guard lock(mutex_);
    return records_;
  }

 private:
  std::mutex mutex_;
  std::vector<AccessRecord> records_;
  std::unique_ptr<HttpServer> server_;
  std::stop_source stop_;
  std::jthread thread_;
};

Route echo() {
  return {"POST", "/echo", plain_handler([](Exchange& e) {
            e.respond({200, {{"content-type", "text/plain"}}, e.request().body});
          })};
}
Route health() {
  return {"GET", "/health", plain_handler([](Exchange& e) { e.respond({200, {}, "ok"}); })};
}
std::string post(std::string_view path, std::string_view body,
                 std::string_view more = "connection: close\r\n") {
  return fmt::format("POST {} HTTP/1.1\r\nhost: x\r\n{}content-length: {}\r\n\r\n{}", path, more, body.size(),
                     body);
}
const std::string kGetHealth = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

TEST_P(Servers, AnswersOverAKeptConnectionAndPipelined) {
  Serving s({}, {echo(), health()});
  RawSocket c = s.connect();
  for (int i = 0; i < 3; ++i) {
    c.send(post("/echo", "hello", ""));
    EXPECT_THAT(c.read_until("hello"), HasSubstr("connection: keep-alive\r\n"));
  }
  c.send(post("/echo", "one", "") + post("/echo", "two", "") + kGetHealth);
  std::string all = c.read_all();
  EXPECT_LT(all.find("one"), all.find("two"));
  EXPECT_LT(all.find("two"), all.find("ok"));
}

TEST_P(Servers, RoutesByPathAndMethod) {
  Serving s({}, {echo(), health(), {"GET", "/models/*", plain_handler([](Exchange& e) {
                                      e.respond({200, {}, "[" + e.request().tail + "]"});
                                    })}});
  EXPECT_THAT(s.ask("GET /models/a%2Fb?x=1 HTTP/1.0\r\n\r\n"), HasSubstr("[a/b]"));
  EXPECT_THAT(s.ask("GET /models/ HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(s.ask("GET /none HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  std::string wrong = s.ask("GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong, HasSubstr("allow: POST\r\n"));
  std::string head = s.ask("HEAD /health HTTP/1.0\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("content-length: 2\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
}

TEST_P(Servers, BoundsHeaderAndBodyAndRefusesWhatIsNotHttp) {
  ServerOptions options;
  options.max_header_bytes = 2048;
  options.max_body_bytes = 1000;
  Serving s(options, {echo()});
  EXPECT_THAT(s.ask("GET / HTTP/1.1\r\nhost: x\r\na: " + std::string(4000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(s.ask(post("/echo", std::string(1001, 'b'))), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(s.ask(post("/echo", std::string(1000, 'b'))), StartsWith("HTTP/1.1 200"));
  std::string chunks = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  for (int i = 0; i < 30; ++i) chunks += "64\r\n" + std::string(100, 'c') + "\r\n";
  EXPECT_THAT(s.ask(chunks + "0\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  for (const char* bad :
       {"nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET nowhere HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: "
        "chunked\r\n\r\n0\r\n\r\n"}) {
    EXPECT_THAT(s.ask(bad), StartsWith("HTTP/1.1 400")) << bad;
  }
}

TEST_P(Servers, ContinuesAnExpectantClient) {
  Serving s({}, {echo()});
  RawSocket c = s.connect();
  c.send(
      "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: "
      "2\r\n\r\n");
  EXPECT_THAT(c.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  c.send("hi");
  EXPECT_THAT(c.read_all(), testing::EndsWith("hi"));
}

TEST_P(Servers, TheGateAnswersBeforeTheBodyAndTheDecoratorAddsToAll) {
  ServerOptions options;
  options.gate = [](const ServerRequest& r) -> std::optional<ServerResponse> {
    if (r.headers.get("x-key") == "k") return std::nullopt;
    return ServerResponse{401, {}, "no key"};
  };
  options.decorate = [](const ServerRequest&, Headers& h) { h.set("x-extra", "1"); };
  Serving s(options, {echo()});
  std::string refused =
      s.ask("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");  // the body never comes
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(refused, HasSubstr("x-extra: 1\r\n"));
  EXPECT_THAT(refused, HasSubstr("x-request-id: req_"));
  EXPECT_THAT(s.ask(post("/echo", "hi", "x-key: k\r\nconnection: close\r\n")), testing::EndsWith("hi"));
}

TEST_P(Servers, StreamsInChunksAndToOldClientsByClosing) {
  Route stream{"GET", "/stream", [](Exchange& e) -> Awaitable<void> {
                 e.begin(200, {{"content-type", "text/event-stream"}});
                 for (int i = 0; i < 3; ++i) co_await e.write(fmt::format("data: {}\n\n", i));
               }};
  Serving s({}, {stream});
  auto client = HttpClient::create();
  ClientRequest request;
  request.url = *parse_url(fmt::format("http://127.0.0.1:{}/stream", (*s).port()));
  wait([](HttpClient& c, ClientRequest& r) -> Awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      CallTrace trace;
      auto response = co_await c.send(r, &trace);
      EXPECT_TRUE(response) << response.error().message;
      EXPECT_EQ(response->body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
      EXPECT_EQ(trace.reused, i == 1);
    }
  }(**client, request));
  std::string old = s.ask("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old, testing::EndsWith("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"));
}

TEST_P(Servers, AWriterWaitsForASlowClientAndEveryByteArrives) {
  constexpr size_t kPiece = 64 << 10, kPieces = 200;
  Route big{"GET", "/big", [](Exchange& e) -> Awaitable<void> {
              e.begin(200, {});
              for (size_t i = 0; i < kPieces; ++i)
                co_await e.write(std::string(kPiece, static_cast<char>('a' + i % 26)));
            }};
  Serving s({}, {big});
  RawSocket c = s.connect();
  c.send("GET /big HTTP/1.0\r\n\r\n");
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ((*s).load().busy, 1u);  // held back: the sockets' buffers are smaller than the answer
  std::string all = c.read_all();
  EXPECT_EQ(all.size() - all.find("\r\n\r\n") - 4, kPiece * kPieces);
}

TEST_P(Servers, RequestsSentAheadWaitTheirTurn) {
  Route slow{"POST", "/slow", [](Exchange& e) -> Awaitable<void> {
               co_await sleep_until(Clock::now() + 100ms, {});
               e.respond({200, {}, "slow"});
             }};
  Serving s({}, {echo(), slow});
  RawSocket c = s.connect();
  constexpr int kAhead = 40;  // more bytes than the server takes ahead
  std::string all = post("/slow", "x", "");
  for (int i = 0; i < kAhead; ++i) all += post("/echo", fmt::format("<{}>", i) + std::string(8000, 'x'), "");
  std::thread sender([&] { c.send(all + post("/echo", "<last>")); });
  std::string answers = c.read_all();
  sender.join();
  size_t at = answers.find("slow");
  for (int i = 0; i < kAhead; ++i) {
    size_t next = answers.find(fmt::format("<{}>", i));
    ASSERT_NE(next, std::string::npos) << i;
    EXPECT_LT(at, next);
    at = next;
  }
  EXPECT_LT(at, answers.find("<last>"));
}

TEST_P(Servers, LargeBodiesGoBothWays) {
  ServerOptions options;
  options.max_body_bytes = 16 << 20;
  Serving s(options, {echo()});
  auto client = HttpClient::create();
  ASSERT_TRUE(client);
  ClientRequest request;
  request.method = "POST";
  request.url = *parse_url(fmt::format("http://127.0.0.1:{}/echo", (*s).port()));
  for (int i = 0; request.body.size() < (9U << 20); ++i) request.body += fmt::format("{} ", i);
  auto twice = [&]() -> Awaitable<int> {  // over one connection
    int whole = 0;
    for (int i = 0; i < 2; ++i) {
      CallTrace trace;
      auto response = co_await (*client)->send(request, &trace);
      EXPECT_TRUE(response) << response.error().message;
      EXPECT_EQ(trace.reused, i == 1);
      whole += response && response->status == 200 && response->body == request.body;
    }
    co_return whole;
  };
  EXPECT_EQ(wait(twice()), 2);
}

TEST_P(Servers, AClientThatLeavesCancelsItsRequest) {
  std::latch started(1);
  std::atomic<bool> cancelled{false}, write_failed{false};
  Route slow{"POST", "/slow", [&](Exchange& e) -> Awaitable<void> {
               started.count_down();
               cancelled = !co_await sleep_until(Clock::now() + 5s, e.request().cancel);
             }};
  Route endless{"GET", "/endless", [&](Exchange& e) -> Awaitable<void> {
                  e.begin(200, {});
                  bool more = true;
                  while (more) {
                    more = co_await e.write("tick\n");
                    co_await sleep_until(Clock::now() + 1ms, {});
                  }
                  write_failed = true;
                }};
  Serving s({}, {slow, endless});
  RawSocket c = s.connect();
  c.send(post("/slow", "x"));
  started.wait();
  c.close();
  EXPECT_TRUE(eventually([&] { return cancelled.load(); }));
  RawSocket d = s.connect();
  d.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
  d.read_until("tick");
  d.close();
  EXPECT_TRUE(eventually([&] { return write_failed.load(); }));
  EXPECT_TRUE(eventually([&] { return (*s).load().connections == 0; }));
  auto records = s.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].status, 499);
  EXPECT_TRUE(records[1].client_gone);
}

TEST_P(Servers, OtherRequestsAreAnsweredWhileManyWait) {
  std::stop_source release;
  Route block{"POST", "/block", [&](Exchange& e) -> Awaitable<void> {
                co_await sleep_until(Clock::now() + 10s, release.get_token());
                e.respond({200, {}, "done"});
              }};
  Serving s({}, {block, health()});
  std::vector<RawSocket> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(s.connect());
    clients.back().send(post("/block", ""));
  }
  ASSERT_TRUE(eventually([&] { return (*s).load().busy == 50; }));
  EXPECT_THAT(s.ask(kGetHealth), StartsWith("HTTP/1.1 200"));
  release.request_stop();
  for (RawSocket& c : clients) EXPECT_THAT(c.read_all(), testing::EndsWith("done"));
}

TEST_P(Servers, HandlersOfDifferentThreadsRunAtOnce) {
  std::latch all(GetParam());
  Serving server({}, {{"GET", "/meet", plain_handler([&](Exchange& e) {
                         all.arrive_and_wait();
                         e.respond({200, {}, "met"});
                       })}});
  std::vector<RawSocket> clients;
  while (clients.size() < GetParam()) clients.push_back(server.connect());
  // A thread whose handler waits takes no connections.
  ASSERT_TRUE(eventually([&] { return (*server).load().connections == clients.size(); }));
  for (RawSocket& client : clients) client.send("GET /meet HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  for (RawSocket& client : clients) EXPECT_THAT(client.read_all(), testing::EndsWith("met"));
}

TEST_P(Servers, AHandlerThatFailsIsAnError) {
  Route none{"GET", "/none", plain_handler([](Exchange&) {})};
  Route throwing{"GET", "/throws", [](Exchange&) -> Awaitable<void> {
                   throw std::bad_alloc();
                   co_return;
                 }};
  Serving s({}, {none, throwing});
  EXPECT_THAT(s.ask("GET /none HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(s.ask("GET /throws HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 500"));
}

TEST_P(Servers, DrainsOnStop) {
  std::latch started(1);
  Route slow{"POST", "/slow", [&](Exchange& e) -> Awaitable<void> {
               started.count_down();
               co_await sleep_until(Clock::now() + 200ms, {});
               e.respond({200, {}, "finished"});
             }};
  Serving s({}, {slow, health()});
  RawSocket idle = s.connect(), busy = s.connect();
  idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
  idle.read_until("ok");
  busy.send(post("/slow", "", ""));
  started.wait();
  s.stop();
  EXPECT_EQ(idle.read_all(), "");  // closed at once
  std::string answer = busy.read_all();
  EXPECT_THAT(answer, testing::EndsWith("finished"));
  EXPECT_THAT(answer, HasSubstr("connection: close"));
  s.join();
  EXPECT_LT(s.connect().fd(), 0);
}

TEST_P(Servers, CancelsWhatDoesNotFinishInTheDrain) {
  std::latch started(1);
  std::atomic<bool> cancelled{false};
  Route slow{"POST", "/slow", [&](Exchange& e) -> Awaitable<void> {
               started.count_down();
               cancelled = !co_await sleep_until(Clock::now() + 5s, e.request().cancel);
               e.respond({503, {}, "stopped"});
             }};
  ServerOptions options;
  options.drain_timeout = 100ms;
  Serving s(options, {slow});
  RawSocket c = s.connect();
  c.send(post("/slow", ""));
  started.wait();
  s.stop();
  EXPECT_THAT(c.read_all(), testing::EndsWith("stopped"));
  s.join();
  EXPECT_TRUE(cancelled);
}

TEST_P(Servers, ClosesTheSilentAndTheSlow) {
  ServerOptions options;
  options.idle_timeout = 100ms;
  options.header_timeout = 150ms;
  options.body_timeout = 150ms;
  Serving s(options, {echo()});
  double start = wall_seconds();
  EXPECT_EQ(s.ask(""), "");
  EXPECT_EQ(s.ask("GET / HT"), "");
  EXPECT_EQ(s.ask("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf"), "");
  EXPECT_LT(wall_seconds() - start, 3);
}

TEST_P(Servers, BoundsTheConnections) {
  ServerOptions options;
  options.max_connections = 2;
  Serving s(options, {health()});
  RawSocket a = s.connect(), b = s.connect();
  ASSERT_TRUE(eventually([&] { return (*s).load().connections == 2; }));
  EXPECT_THAT(s.ask(kGetHealth), StartsWith("HTTP/1.1 503"));
  a.close();
  ASSERT_TRUE(eventually([&] { return (*s).load().connections == 1; }));
  EXPECT_THAT(s.ask(kGetHealth), StartsWith("HTTP/1.1 200"));
}

TEST_P(Servers, SpeaksTls) {
  TestCertificate certificate;
  ServerOptions options;
  options.certificate_file = certificate.certificate();
  options.key_file = certificate.private_key();
  Route stream{"GET", "/stream", [](Exchange& e) -> Awaitable<void> {
                 e.begin(200, {});
                 for (int i = 0; i < 3; ++i) co_await e.write(std::string(100'000, 'x'));
               }};
  Serving s(options, {echo(), stream});
  ClientOptions trusting;
  trusting.ca_file = certificate.certificate();
  auto client = HttpClient::create(trusting);
  std::string base = fmt::format("https://localhost:{}", (*s).port());
  wait([](HttpClient& c, std::string url) -> Awaitable<void> {
    for (int i = 0; i < 4; ++i) {
      ClientRequest request;
      request.url = *parse_url(url + (i % 2 ? "/stream" : "/echo"));
      if (i % 2 == 0) request.method = "POST";
      if (i % 2 == 0) request.body = "hello";
      CallTrace trace;
      auto response = co_await c.send(request, &trace);
      EXPECT_TRUE(response) << response.error().message;
      if (!response) co_return;
      EXPECT_EQ(response->body.size(), i % 2 ? 300'000U : 5U);
      EXPECT_EQ(trace.reused, i > 0);
    }
  }(**client, base));
  EXPECT_EQ(s.ask("GET /stream HTTP/1.0\r\n\r\n").find("HTTP/1.1 200"), std::string::npos);
}

TEST_P(Servers, ATlsClientThatLeavesCancelsItsRequest) {
  TestCertificate certificate;
  ServerOptions options;
  options.certificate_file = certificate.certificate();
  options.key_file = certificate.private_key();
  std::atomic<bool> cancelled{false};
  std::latch started(1);
  Route slow{"GET", "/slow", [&](Exchange& e) -> Awaitable<void> {
               started.count_down();
               cancelled = !co_await sleep_until(Clock::now() + 5s, e.request().cancel);
             }};
  Serving s(options, {slow});
  ClientOptions trusting;
  trusting.ca_file = certificate.certificate();
  auto client = HttpClient::create(trusting);
  ClientRequest request;
  request.url = *parse_url(fmt::format("https://localhost:{}/slow", (*s).port()));
  std::stop_source stop;
  request.cancel = stop.get_token();
  std::jthread later([&] {
    started.wait();
    stop.request_stop();
  });
  EXPECT_FALSE(wait((*client)->send(request)));
  EXPECT_TRUE(eventually([&] { return cancelled.load(); }));
}

TEST_P(Servers, RefusesACertificateItCannotUse) {
  TestCertificate one, other;
  ServerOptions options;
  auto code = [&] { return HttpServer::listen(options, {}).error().code; };
  options.certificate_file = one.certificate();
  options.key_file = "/no/such/file";
  EXPECT_EQ(code(), Code::kNotFound);
  options.key_file = other.private_key();
  EXPECT_EQ(code(), Code::kCorrupt);
  options.certificate_file = one.private_key();
  EXPECT_EQ(code(), Code::kCorrupt);
}

TEST_P(Servers, RefusesToListenWhereItCannot) {
  Serving s({}, {});
  ServerOptions options;
  options.port = (*s).port();
  auto taken = HttpServer::listen(options, {});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::kIo);
  options.host = "example.com";
  EXPECT_FALSE(HttpServer::listen(options, {}));
}

}  // namespace
}  // namespace bantam::net
