// What callers get when a remote model fails, each failure made for real on a socket: the configured outcome,
// within the time limits, and no call made twice that may have been billed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/usage.h"
#include "net/http_client.h"
#include "net/json.h"
#include "server/faults_for_test.h"
#include "server/server_for_test.h"

namespace bantam::server {
namespace {

using namespace std::chrono_literals;
using net::RawServer;
using net::RawSocket;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

struct RemoteFault {
  std::string name;
  std::function<void(RawSocket&, bool stream)> answer;  // to a request that has come whole
  size_t calls = 1;                                     // that reach the API for one request of ours
  std::string url = {};                                 // instead of the API's
  std::string scheme = "http";
};

std::vector<RemoteFault> remote_faults() {
  auto say = [](std::string bytes) { return [bytes](RawSocket& s, bool) { s.send(bytes); }; };
  uint16_t closed = RawServer([](RawSocket&) {}).port();
  return {
      {"refused", say(""), 0, fmt::format("http://127.0.0.1:{}/v1", closed)},
      {"no such host", say(""), 0, "http://no-such-host.invalid/v1"},
      {"no TLS there", say(""), 0, "", "https"},
      {"silence", [](RawSocket& s, bool) { undisturbed(s, 30s); }},
      {"a header of 1 byte/s", [](RawSocket& s, bool) { send_slowly(s, kStream, 1s); }},
      {"a body of 1 byte/s",
       [](RawSocket& s, bool stream) {
         s.send(stream ? kStream : header("200 OK", ""));
         send_slowly(s, stream ? kPiece : std::string(200, ' '), 1s);
       }},
      {"a body of 20 bytes/s, without a token",
       [](RawSocket& s, bool stream) {
         s.send(stream ? kStream : header("200 OK", ""));
         send_slowly(s, stream ? ": ping\n\n: ping\n\n: ping\n\n: ping\n\n: ping\n\n" : std::string(200, ' '),
                     50ms);
       }},
      {"429", say(whole("429 Too Many Requests", "{}", "retry-after-ms: 1\r\n")), 2},
      {"429 for an hour", say(whole("429 Too Many Requests", "{}", "retry-after: 3600\r\n")), 1},
      {"500", say(whole("500 Internal Server Error", "oops", "retry-after-ms: 1\r\n")), 2},
      {"cut",
       [](RawSocket& s, bool stream) {
         s.send(stream ? kStream + kPiece : header("200 OK", "content-length: 1000\r\n") + "{\"choices\"");
       }},
      {"malformed events", say(kStream + kPiece + "data: {nonsense\n\n")},
      {"an error within the stream",
       say(kStream + kPiece + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n")},
      {"endless",
       [](RawSocket& s, bool stream) {
         s.send(stream ? kStream : header("200 OK", ""));
         while (s.send(stream ? kPiece : " ")) std::this_thread::sleep_for(5ms);
       }},
      {"no JSON", say(whole("200 OK", "<html>"))},
      {"JSON of something else", say(whole("200 OK", R"({"choices":[{"text":"x"}]})"))},
      {"an answer that is none of the choices",
       [](RawSocket& s, bool stream) {
         if (!stream)
           s.send(whole("200 OK", R"({"choices":[{"message":{"content":"{\"answer\":\"no\"}"}}]})"));
         if (stream) s.send(kStream + kPiece);
       }},
  };
}

/// An API with a fault, and a server with a small model here, that API as the large one, and teams of both.
class Faulty {
 public:
  explicit Faulty(const RemoteFault& fault, unsigned breaker_failures = 0)
      : api_([this, fault](RawSocket& s) {
          std::string request = s.read_request();
          if (request.find("\r\n\r\n") == std::string::npos) return;  // not even HTTP
          ++calls;
          fault.answer(s, request.find("\"stream\":true") != std::string::npos);
        }) {
    ServerConfig config;
    config.request_timeout = 2s;
    config.models = {small(), large(fault, breaker_failures)};
    TeamConfig team;
    team.slm = "small";
    team.llm = "large";
    team.of_strategy.threshold = 1;  // no answer of a random model is that sure
    for (auto [name, outcome] : {std::pair("kept", collab::OnLlmFailure::kUnverified),
                                 std::pair("strict", collab::OnLlmFailure::kError)}) {
      team.name = name;
      team.of_strategy.rule.on_failure = outcome;
      config.teams.push_back(team);
    }
    server_ = std::make_unique<RunningServer>(config);
    std::filesystem::remove(path_);  // the map stays
  }

  net::ClientResponse ask(std::string_view model, bool stream = false) {
    return server_->send("POST", "/v1/chat/completions",
                         fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"hi"}}]{}}})",
                                     model, stream ? R"(,"stream":true)" : ""));
  }

  std::atomic<size_t> calls{0};

 private:
  ModelConfig small() {
    path_ = random_task_model();
    ModelConfig out;
    out.name = "small";
    out.path = path_;
    out.threads = 1;
    return out;
  }
  ModelConfig large(const RemoteFault& fault, unsigned breaker_failures) const {
    ModelConfig out;
    out.name = "large";
    out.url = fault.url.empty() ? fmt::format("{}://127.0.0.1:{}/v1", fault.scheme, api_.port()) : fault.url;
    out.max_retries = 1;
    out.connect_timeout = 500ms;
    out.answer_timeout = 400ms;
    out.read_timeout = 400ms;
    out.breaker.failures = breaker_failures;
    out.breaker.pause = 10min;
    return out;
  }

  std::string path_;
  RawServer api_;
  std::unique_ptr<RunningServer> server_;  // last, so that it ends first
};

json parsed(const net::ClientResponse& r) {
  auto body = net::parse_json(r.body, "body");
  EXPECT_TRUE(body) << r.body;
  return body ? *body : json();
}

TEST(RemoteFaults, EachHasItsConfiguredOutcomeInTimeAndIsNotAskedTwice) {
  for (const RemoteFault& fault : remote_faults()) {
    SCOPED_TRACE(fault.name);
    Faulty f(fault);
    double start = wall_seconds();
    auto kept = f.ask("kept");
    EXPECT_EQ(kept.status, 200) << kept.body;
    json body = parsed(kept);
    EXPECT_EQ(body["bantam"]["unverified"], true) << kept.body;
    EXPECT_EQ(body["bantam"]["answered_by"], "small");
    EXPECT_THAT(body["choices"][0]["message"]["content"].get<std::string>(),
                testing::AnyOf("refund", "login"));
    EXPECT_EQ(f.calls, fault.calls);

    auto strict = f.ask("strict");
    EXPECT_THAT(strict.status, testing::AnyOf(502, 504)) << strict.body;
    EXPECT_TRUE(parsed(strict)["error"]["message"].is_string());
    EXPECT_EQ(f.calls, 2 * fault.calls);

    auto stream = f.ask("large", /*stream=*/true);
    if (stream.status == 200) {
      EXPECT_THAT(stream.body, HasSubstr("\"error\""));
      EXPECT_THAT(stream.body, Not(HasSubstr("[DONE]")));
    } else {
      EXPECT_THAT(stream.status, testing::AnyOf(502, 504)) << stream.body;
    }
    EXPECT_EQ(f.calls, 3 * fault.calls);
    EXPECT_LT(wall_seconds() - start, 30);  // and did not hang
  }
}

TEST(RemoteFaults, TheBreakerKeepsCallsFromAnApiThatFails) {
  RemoteFault fault{"500", [](RawSocket& s, bool) {
                      s.send(whole("501 Not Implemented", "", "x-should-retry: false\r\n"));
                    }};
  Faulty f(fault, /*breaker_failures=*/2);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(parsed(f.ask("kept"))["bantam"]["unverified"], true);
  EXPECT_EQ(f.calls, 2u);
  auto refused = f.ask("large");
  EXPECT_EQ(refused.status, 502);
  EXPECT_THAT(refused.body, HasSubstr("not called"));
}

}  // namespace
}  // namespace bantam::server
