// Many streams at once through the whole of it: client, server, remote model, another server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "model/random_model.h"
#include "net/async_event.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/json.h"
#include "net/sse.h"
#include "server/server_for_test.h"

namespace bantam::server {
namespace {

using namespace std::chrono_literals;
using net::Awaitable;
using nlohmann::json;

constexpr size_t kPieces = 12;

/// Streams its own prompt back, piece by piece; begins once all the streams are there.
class EchoApi {
 public:
  explicit EchoApi(size_t streams) : streams_(streams) {
    net::ServerOptions options;
    options.max_connections = streams + 10;
    auto server = net::HttpServer::listen(
        options, {{"POST", "/v1/chat/completions", [this](net::Exchange& e) { return echo(e); }}});
    EXPECT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    thread_ = std::jthread([this](std::stop_token stop) { EXPECT_TRUE(server_->run(stop)); });
  }
  uint16_t port() const { return server_->port(); }
  size_t seen() const { return arrived_; }
  size_t tokens() const { return tokens_; }

 private:
  Awaitable<void> echo(net::Exchange& e) {
    auto body = net::parse_json(e.request().body, "body");
    EXPECT_TRUE(body);
    std::string prompt = (*body)["messages"][0]["content"];
    auto until = std::chrono::steady_clock::now() + 60s;
    for (++arrived_; arrived_ < streams_ && std::chrono::steady_clock::now() < until;)
      co_await net::sleep_until(std::chrono::steady_clock::now() + 5ms, e.request().cancel);
    e.begin(200, {{"content-type", "text/event-stream"}});
    for (size_t i = 0; i < kPieces; ++i) {
      json delta = {{"choices", {{{"delta", {{"content", fmt::format("{}/{} ", prompt, i)}}}}}}};
      co_await e.write(net::sse_event(net::to_text(delta)));
      co_await net::sleep_until(std::chrono::steady_clock::now() + 1ms * (arrived_ % 7), {});
    }
    json last = {{"choices", {{{"delta", json::object()}, {"finish_reason", "stop"}}}},
                 {"usage", {{"prompt_tokens", 1}, {"completion_tokens", kPieces}}}};
    tokens_ += kPieces;
    co_await e.write(net::sse_event(net::to_text(last)) + net::sse_event("[DONE]"));
  }

  const size_t streams_;
  std::atomic<size_t> arrived_{0}, tokens_{0};
  std::unique_ptr<net::HttpServer> server_;
  std::jthread thread_;
};

size_t threads_now() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

struct Outcome {
  std::string text;
  bool done = false;
};

Awaitable<void> one_stream(net::HttpClient& client, net::Url url, std::string canary, Outcome& out) {
  net::ClientRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.body = net::to_text({{"model", "llm"},
                               {"stream", true},
                               {"messages", json::array({{{"role", "user"}, {"content", canary}}})}});
  net::SseParser parser;
  request.on_body = [&](std::string_view piece) -> Awaitable<bool> {
    Status fed = parser.feed(piece, [&](net::SseEvent&& event) {
      if (event.data == "[DONE]") return out.done = true;
      json body = json::parse(event.data);
      if (!body["choices"].empty()) out.text += body["choices"][0]["delta"].value("content", "");
      return true;
    });
    EXPECT_TRUE(fed);
    co_return true;
  };
  auto response = co_await client.send(request);
  EXPECT_TRUE(response) << response.error().message;
  if (!response) co_return;
  EXPECT_EQ(response->status, 200) << response->body;
}

TEST(Streams, AThousandAtOnceAreNeitherCrossedNorLostAndNeedNoThousandThreads) {
  constexpr size_t kStreams = 1000;
  EchoApi api(kStreams);
  ServerConfig config;
  config.max_connections = kStreams + 10;
  ModelConfig model;
  model.name = "llm";
  model.url = fmt::format("http://127.0.0.1:{}/v1", api.port());
  model.connect_timeout = model.answer_timeout = 60s;
  config.models.push_back(model);
  RunningServer server(config);

  net::ClientOptions options;
  options.connect_timeout = 60s;
  auto client = net::HttpClient::create(options);
  std::vector<Outcome> outcomes(kStreams);
  boost::asio::io_context io{1};
  net::Url url = *net::parse_url(server.url() + "/v1/chat/completions");
  for (size_t i = 0; i < kStreams; ++i) {
    boost::asio::co_spawn(io, one_stream(**client, url, fmt::format("canary-{:04}", i), outcomes[i]),
                          [](std::exception_ptr e) {
                            if (e) std::rethrow_exception(e);
                          });
  }
  size_t most_threads = 0;
  boost::asio::steady_timer look(io);
  look.expires_after(300ms);
  look.async_wait([&](auto) { most_threads = threads_now(); });
  io.run();

  EXPECT_EQ(api.seen(), kStreams);
  EXPECT_LT(most_threads, 20u);
  for (size_t i = 0; i < kStreams; ++i) {
    std::string expected;
    for (size_t k = 0; k < kPieces; ++k) expected += fmt::format("canary-{:04}/{} ", i, k);
    ASSERT_EQ(outcomes[i].text, expected);
    ASSERT_TRUE(outcomes[i].done);
  }
  EXPECT_THAT(server.send("GET", "/metrics").body,
              testing::HasSubstr(
                  fmt::format(R"(bantam_tokens_total{{kind="completion",model="llm"}} {})", api.tokens())));
}

TEST(Queue, OneRequestMoreThanMayWaitIsToldToComeAgain) {
  auto path = (std::filesystem::temp_directory_path() / net::random_id("bantam_queue_")).string() + ".gguf";
  const auto shape = model::tiny_config(1U << 16);
  ASSERT_TRUE(model::write_random_model(path, shape, tensor::DType::kF32, 3));
  ServerConfig config;
  config.max_queue = 1;
  ModelConfig model;
  model.name = "plain";
  model.path = path;
  model.threads = 1;
  model.context = shape.context_length;
  model.sessions = 1;
  config.models.push_back(model);
  RunningServer server(config);
  std::filesystem::remove(path);  // the map stays
  auto ask = [&](std::string text, std::stop_token cancel) {
    json body = {{"model", "plain"},
                 {"max_tokens", 5000},
                 {"messages", json::array({{{"role", "user"}, {"content", text}}})}};
    return server.send("POST", "/v1/chat/completions", net::to_text(body), {}, cancel);
  };
  std::stop_source stop;
  std::vector<std::jthread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] { ask(std::string(60'000, 'x'), stop.get_token()); });
  }
  auto until = std::chrono::steady_clock::now() + 30s;
  std::string metrics;
  // One runs and one waits.
  const auto gauge = [&metrics](std::string_view name) {
    return metrics.find(fmt::format("bantam_model_{}{{model=\"plain\"}} 1", name)) != std::string::npos;
  };
  while (!(gauge("running") && gauge("waiting")) && std::chrono::steady_clock::now() < until)
    metrics = server.send("GET", "/metrics").body;
  auto refused = ask("hi", {});
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(refused.headers.get("retry-after"), "1");
  stop.request_stop();  // the clients leave, and their requests end
  busy.clear();
  // The server notices in its own time.
  auto after = ask("hi", {});
  for (until = std::chrono::steady_clock::now() + 60s;
       after.status == 429 && std::chrono::steady_clock::now() < until;)
    after = ask("hi", {});
  EXPECT_EQ(after.status, 200) << after.body;
}

}  // namespace
}  // namespace bantam::server
