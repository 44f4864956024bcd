#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "chat/scripted.h"
#include "net/http_client.h"
#include "net/json.h"
#include "net/raw_socket_for_test.h"
#include "net/sse.h"
#include "server/server_for_test.h"

namespace bantam::server {
namespace {

using namespace std::chrono_literals;
using chat::ScriptedModel;
using chat::ScriptedTurn;
using nlohmann::json;
using testing::HasSubstr;

ScriptedTurn turn(std::vector<std::string> parts) {
  ScriptedTurn t;
  t.parts = std::move(parts);
  t.confidence = 0.75;
  t.usage = {10, 2};
  t.cost = 0.5;
  return t;
}

/// A server of one scripted model "m", on a thread of its own.
class Fixture {
 public:
  explicit Fixture(const ServerConfig& config = {}, std::shared_ptr<chat::ChatModel> other = {})
      : server_(config, Registry({other ? std::move(other) : model}), [this](std::string_view line) {
          std::lock_guard lock(mutex_);
          lines_ += std::string(line) + "\n";
        }) {}

  net::ClientResponse send(std::string_view method, std::string_view path, std::string body = "",
                           net::Headers headers = {}) {
    return server_.send(method, path, std::move(body), std::move(headers));
  }
  net::ClientResponse ask(const std::string& members = "", net::Headers headers = {}) {
    return send("POST", "/v1/chat/completions",
                R"({"model":"m","messages":[{"role":"user","content":"secret text"}])" + members + "}",
                std::move(headers));
  }
  std::string lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }
  /// A line may come a moment after its answer.
  bool logged(std::string_view part) {
    for (int i = 0; i < 1000 && lines().find(part) == std::string::npos; ++i)
      std::this_thread::sleep_for(5ms);
    return lines().find(part) != std::string::npos;
  }
  std::string url() const { return server_.url(); }

  std::shared_ptr<ScriptedModel> model = std::make_shared<ScriptedModel>("m");

 private:
  std::mutex mutex_;
  std::string lines_;
  RunningServer server_;
};

json body(const net::ClientResponse& r) {
  auto parsed = net::parse_json(r.body, "body");
  EXPECT_TRUE(parsed) << r.body;
  return parsed ? *parsed : json();
}

std::vector<std::string> events(const net::ClientResponse& r) {
  std::vector<std::string> out;
  net::SseParser parser;
  EXPECT_TRUE(parser.feed(r.body, [&](net::SseEvent&& e) {
    out.push_back(std::move(e.data));
    return true;
  }));
  return out;
}

void expect_error(const net::ClientResponse& r, int status, const json& param, const json& code) {
  EXPECT_EQ(r.status, status) << r.body;
  json error = body(r)["error"];
  EXPECT_EQ(error["param"], param) << r.body;
  EXPECT_EQ(error["code"], code) << r.body;
  EXPECT_TRUE(error["message"].is_string());
  EXPECT_TRUE(error["type"].is_string());
}

TEST(Server, AnswersWhole) {
  Fixture f;
  f.model->say(turn({"hel", "lo"}));
  auto r = f.ask();
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.headers.get("content-type"), "application/json");
  EXPECT_TRUE(r.headers.get("x-request-id"));
  json b = body(r);
  EXPECT_EQ(b["object"], "chat.completion");
  EXPECT_EQ(b["model"], "m");
  EXPECT_EQ(b["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(b["choices"][0]["message"]["content"], "hello");
  EXPECT_EQ(b["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(b["usage"]["total_tokens"], 12);
  EXPECT_EQ(b["bantam"]["answered_by"], "m");
  EXPECT_EQ(b["bantam"]["confidence"], 0.75);
  EXPECT_EQ(b["bantam"]["cost"], 0.5);
  EXPECT_EQ(b["bantam"]["steps"].size(), 1u);
  EXPECT_TRUE(f.logged("answered_by=m"));
  EXPECT_THAT(f.lines(), testing::Not(HasSubstr("secret text")));
}

TEST(Server, Streams) {
  Fixture f;
  f.model->say(turn({"hel", "\"lo\n"}));
  f.model->say(turn({"x"}));
  auto r = f.ask(R"(,"stream":true,"stream_options":{"include_usage":true})");
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.headers.get("content-type"), "text/event-stream; charset=utf-8");
  auto e = events(r);
  ASSERT_EQ(e.size(), 6u);
  EXPECT_EQ(json::parse(e[0])["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(json::parse(e[1])["choices"][0]["delta"]["content"], "hel");
  EXPECT_EQ(json::parse(e[2])["choices"][0]["delta"]["content"], "\"lo\n");
  EXPECT_EQ(json::parse(e[3])["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(json::parse(e[3])["usage"].is_null());
  EXPECT_EQ(json::parse(e[4])["choices"], json::array());
  EXPECT_EQ(json::parse(e[4])["usage"]["completion_tokens"], 2);
  EXPECT_EQ(json::parse(e[4])["bantam"]["answered_by"], "m");
  EXPECT_EQ(e[5], "[DONE]");
  e = events(f.ask(R"(,"stream":true)"));
  ASSERT_EQ(e.size(), 4u);
  EXPECT_EQ(json::parse(e[2])["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json::parse(e[2])["bantam"]["cost"], 0.5);
  EXPECT_FALSE(json::parse(e[2]).contains("usage"));
}

TEST(Server, ErrorsBeforeAndWithinAStream) {
  Fixture f;
  ScriptedTurn early;
  early.error = Error{Code::kLimit, "found 900 tokens, expected at most 512"};
  f.model->say(early);
  f.model->say(early);
  expect_error(f.ask(), 400, "messages", "context_length_exceeded");
  expect_error(f.ask(R"(,"stream":true)"), 400, "messages", "context_length_exceeded");
  ScriptedTurn late = turn({"hel"});
  late.error = Error{Code::kUnavailable, "gone"};
  f.model->say(late);
  auto e = events(f.ask(R"(,"stream":true)"));
  ASSERT_EQ(e.size(), 3u);
  EXPECT_EQ(json::parse(e[2])["error"]["code"], "upstream_error");
  expect_error(f.ask(), 502, nullptr, "upstream_error");  // the script has ended
}

TEST(Server, ListsAndShowsModels) {
  Fixture f;
  json list = body(f.send("GET", "/v1/models"));
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 1u);
  EXPECT_EQ(list["data"][0]["id"], "m");
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(body(f.send("GET", "/v1/models/m"))["id"], "m");
  expect_error(f.send("GET", "/v1/models/none"), 404, "model", "model_not_found");
  EXPECT_EQ(body(f.send("GET", "/health"))["status"], "ok");
}

TEST(Server, OpenAisErrors) {
  Fixture f;
  expect_error(f.send("POST", "/v1/chat/completions",
                      R"({"model":"none","messages":[{"role":"user","content":"x"}]})"),
               404, "model", "model_not_found");
  expect_error(f.send("POST", "/v1/chat/completions", R"({"model":"m"})"), 400, "messages",
               "missing_required_parameter");
  expect_error(f.ask(R"(,"n":9)"), 400, "n", "invalid_value");
  expect_error(f.send("POST", "/v1/chat/completions", "{"), 400, nullptr, "invalid_json");
  expect_error(f.send("GET", "/v1/nothing"), 404, nullptr, nullptr);
  expect_error(f.send("GET", "/v1/a%0Aforged"), 404, nullptr, nullptr);
  EXPECT_TRUE(f.logged("/v1/a forged 404"));
  expect_error(f.send("GET", "/v1/chat/completions"), 405, nullptr, nullptr);
  EXPECT_TRUE(f.model->requests().empty());
}

TEST(Server, CountsForPrometheus) {
  Fixture f;
  f.model->say(turn({"x"}));
  ScriptedTurn broken;
  broken.error = Error{Code::kUnavailable, "gone"};
  f.model->say(broken);
  EXPECT_EQ(f.ask(R"(,"stream":true)").status, 200);
  EXPECT_EQ(f.ask().status, 502);
  EXPECT_EQ(f.send("GET", "/nothing/at/all").status, 404);
  EXPECT_TRUE(f.logged("/nothing/at/all 404"));
  auto r = f.send("GET", "/metrics");
  EXPECT_THAT(std::string(*r.headers.get("content-type")), HasSubstr("version=0.0.4"));
  for (const char* line :
       {R"(bantam_http_requests_total{route="/v1/chat/completions",status="200"} 1)",
        R"(bantam_http_requests_total{route="none",status="404"} 1)",
        R"(bantam_answers_total{answered_by="m",model="m",strategy="model"} 1)",
        R"(bantam_errors_total{code="unavailable",model="m",strategy="model"} 1)",
        R"(bantam_tokens_total{kind="prompt",model="m"} 10)", R"(bantam_cost_total{model="m"} 0.5)",
        R"(bantam_first_token_seconds_count{model="m",strategy="model"} 1)",
        R"(bantam_answer_seconds_count{model="m",strategy="model"} 2)", "bantam_http_requests_in_work 1"})
    EXPECT_THAT(r.body, HasSubstr(line));
  EXPECT_THAT(r.body, testing::Not(HasSubstr("nothing")));
  EXPECT_EQ(body(f.send("GET", "/ready"))["status"], "ready");
}

TEST(Server, TheRequestTimeoutIsTheModelsDeadline) {
  ServerConfig config;
  config.request_timeout = 100ms;
  Fixture f(config);
  ScriptedTurn slow = turn({"x"});
  slow.delay = 10s;
  f.model->say(slow);
  expect_error(f.ask(), 504, nullptr, "timeout");
}

TEST(Server, AsksForTheKeyOnTheApiOnly) {
  ::setenv("BANTAM_SERVER_TEST_KEY", "k-123", 1);
  ServerConfig config;
  config.api_key_env = "BANTAM_SERVER_TEST_KEY";
  Fixture f(config);
  f.model->say(turn({"x"}));
  expect_error(f.ask(), 401, nullptr, "invalid_api_key");
  expect_error(f.ask("", {{"authorization", "Bearer k-12"}}), 401, nullptr, "invalid_api_key");
  expect_error(f.ask("", {{"authorization", "k-123"}}), 401, nullptr, "invalid_api_key");
  expect_error(f.send("GET", "/v1/models"), 401, nullptr, "invalid_api_key");
  expect_error(f.send("GET", "/metrics"), 401, nullptr, "invalid_api_key");
  EXPECT_EQ(f.send("GET", "/health").status, 200);
  EXPECT_EQ(f.ask("", {{"authorization", "bearer k-123"}}).status, 200);
}

TEST(Server, RefusesToBeReachedWithoutAKey) {
  ServerConfig config;
  config.host = "0.0.0.0";
  config.port = 0;
  auto open = Server::open(config, Registry({}));
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message, HasSubstr("api_key_env"));
  config.api_key_env = "BANTAM_NOT_SET";
  open = Server::open(config, Registry({}));
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Code::kNotFound);
}

TEST(Server, AnswersForItsOwnNamesOnly) {
  ServerConfig config;
  config.allowed_hosts = {"Box.Local"};
  Fixture f(config);
  uint16_t port = net::parse_url(f.url())->port;
  auto status = [&](std::string_view host) {
    auto s = net::RawSocket::connect(port);
    s.send(fmt::format("GET /v1/models HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", host));
    return s.read_all().substr(9, 3);
  };
  for (const char* good : {"localhost:1234", "127.0.0.1", "[::1]:80", "box.local"})
    EXPECT_EQ(status(good), "200") << good;
  for (const char* bad : {"evil.example", "127.0.0.1.evil.example", "0.0.0.0"})
    EXPECT_EQ(status(bad), "403") << bad;
}

TEST(Server, KeepsForeignPagesOut) {
  ServerConfig config;
  config.cors_origins = {"https://good.example"};
  Fixture f(config);
  f.model->say(turn({"x"}));
  for (const char* origin : {"https://evil.example", "null", "http://localhost.evil.example"}) {
    expect_error(f.ask("", {{"origin", origin}}), 403, nullptr, "origin_not_allowed");
  }
  auto allowed = f.ask("", {{"origin", "https://good.example"}});
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.headers.get("access-control-allow-origin"), "https://good.example");
  auto preflight =
      f.send("OPTIONS", "/v1/chat/completions", "",
             {{"origin", "http://localhost:3000"},
              {"access-control-request-method", "POST"},
              {"access-control-request-headers", "authorization, content-type,x-stainless-os,x-evil"}});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.get("access-control-allow-headers"),
            "authorization, content-type, x-stainless-os");
  EXPECT_EQ(preflight.headers.get("access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(f.model->requests().size(), 1u);
}

/// Also what no endpoint of ours got to see.
TEST(Server, ErrorsOfMessagesHaveAnthropicsForm) {
  ServerConfig config;
  config.max_body_bytes = 1000;
  Fixture f(config);
  struct Case {
    const char *method, *path;
    std::string sent;
    int status;
    const char* type;
  };
  for (const Case& c : {Case{"POST", "/v1/messages", "{", 400, "invalid_request_error"},
                        {"POST", "/v1/messages",
                         R"({"model":"none","max_tokens":1,"messages":[{"role":"user","content":"x"}]})", 404,
                         "not_found_error"},
                        {"POST", "/v1/messages/batches", "{}", 404, "not_found_error"},
                        {"GET", "/v1/messages", "", 405, "invalid_request_error"},
                        {"POST", "/v1/messages", std::string(2000, ' '), 413, "request_too_large"}}) {
    auto r = f.send(c.method, c.path, c.sent);
    EXPECT_EQ(r.status, c.status) << c.path;
    json b = body(r);
    EXPECT_EQ(b["type"], "error") << r.body;
    EXPECT_EQ(b["error"]["type"], c.type) << r.body;
    EXPECT_FALSE(b["error"]["message"].get<std::string>().empty());
    EXPECT_EQ(b["request_id"].get<std::string>(), r.headers.get("x-request-id"));
    EXPECT_EQ(r.headers.get("request-id"), r.headers.get("x-request-id"));
  }
  auto other = f.send("POST", "/v1/chat/completions", std::string(2000, ' '));
  EXPECT_EQ(body(other)["error"]["type"], "invalid_request_error");
  EXPECT_FALSE(other.headers.get("request-id"));
}

TEST(Server, SaysOnceThatACertificateNoLongerHolds) {
  /// Says "m" and holds a certificate until told otherwise.
  class Certified final : public chat::ChatModel {
   public:
    const std::string& name() const override { return name_; }
    chat::Awaitable<Result<chat::Reply>> generate(const chat::Request&, chat::EventSink) override {
      chat::Reply reply;
      reply.text = "m";
      reply.answered_by = name_;
      co_return reply;
    }
    std::optional<chat::CertificateState> certificate() const override { return state; }
    chat::CertificateState state{true, 2.5, 7};

   private:
    std::string name_ = "m";
  };
  auto team = std::make_shared<Certified>();
  Fixture f({}, team);
  EXPECT_EQ(f.ask().status, 200);
  EXPECT_EQ(body(f.send("GET", "/v1/models"))["data"][0]["bantam"]["certificate"]["holds"], true);
  EXPECT_THAT(f.send("GET", "/metrics").body, HasSubstr("bantam_certificate_holds{model=\"m\"} 1"));
  team->state = {false, 120, 40};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(f.ask().status, 200);
  EXPECT_TRUE(f.logged("certificate no longer holds"));
  std::string lines = f.lines();
  EXPECT_EQ(lines.find("no longer holds", lines.find("no longer holds") + 1), std::string::npos) << lines;
  std::string metrics = f.send("GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("bantam_certificate_holds{model=\"m\"} 0"));
  EXPECT_THAT(metrics, HasSubstr("bantam_certificate_evidence{model=\"m\"} 120"));
  json shown = body(f.send("GET", "/v1/models/m"));
  EXPECT_EQ(shown["bantam"]["certificate"]["observed"], 40);
}

}  // namespace
}  // namespace bantam::server
