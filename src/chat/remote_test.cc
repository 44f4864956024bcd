#include "chat/remote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/openai_wire.h"
#include "chat/remote_for_test.h"
#include "net/retry.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kWhole =
    R"({"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}})";

Request request(std::vector<std::string> choices = {}) {
  Request r;
  r.messages = {{"system", "be kind"}, {"user", "hi \"there\""}};
  r.choices = std::move(choices);
  return r;
}

/// The pieces of the answer's text go to `pieces`.
Result<Reply> ask_in_pieces(const RemoteOptions& options, const Request& r,
                            std::vector<std::string>& pieces) {
  return ask(options, r, text_sink([&pieces](std::string_view text) {
               pieces.emplace_back(text);
               return true;
             }));
}

TEST(Remote, SendsTheRequestAndCountsTheCost) {
  Api api({http("200 OK", kWhole)});
  ::setenv("BANTAM_TEST_KEY", "secret", 1);
  RemoteOptions options = api.options();
  options.key_env = "BANTAM_TEST_KEY";
  Request r = request();
  r.sampling.temperature = 0.7F;
  r.sampling.seed = 7;
  r.max_tokens = 20;
  r.stop = {"END"};
  auto reply = ask(options, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "hello");
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_DOUBLE_EQ(reply->cost, (1000 * 2 + 500 * 10) * 1e-6);
  ASSERT_EQ(reply->steps.size(), 1u);
  EXPECT_EQ(reply->steps[0].usage.completion_tokens, 500u);
  std::string sent = api.asked().at(0);
  EXPECT_THAT(sent, StartsWith("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("authorization: Bearer secret\r\n"));
  for (const char* part : {R"("model":"llm-1")", R"("temperature":0.7)", R"("seed":7)", R"("max_tokens":20)",
                           R"("stop":["END"])", R"({"role":"user","content":"hi \"there\""})"}) {
    EXPECT_THAT(sent, HasSubstr(part));
  }
  for (const char* part : {"top_p", "stream", "response_format"})
    EXPECT_THAT(sent, testing::Not(HasSubstr(part)));
}

TEST(Remote, StreamsAndReadsTheUsageAtTheEnd) {
  Api api({http(
      "200 OK",
      "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n: ping\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"length\"}]}\n\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
      "content-type: text/event-stream\r\n")});
  std::vector<std::string> pieces;
  auto reply = ask_in_pieces(api.options(), request(), pieces);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(pieces, ElementsAre("hel", "lo"));
  EXPECT_EQ(reply->text, "hello");
  EXPECT_EQ(reply->finish_reason, "length");
  EXPECT_EQ(reply->usage.prompt_tokens, 3u);
  EXPECT_TRUE(reply->notes.empty());
  EXPECT_THAT(api.asked().at(0), HasSubstr(R"("stream_options":{"include_usage":true})"));
}

TEST(Remote, ABrokenStreamIsAnErrorAndIsNotAskedAgain) {
  std::string begin = "data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n";
  for (const std::string& rest : {std::string(), std::string("data: {nonsense\n\n"),
                                  std::string("data: {\"error\":{\"message\":\"overloaded\"}}\n\n")}) {
    Api api({http("200 OK", begin + rest)});
    std::vector<std::string> pieces;
    auto reply = ask_in_pieces(api.options(), request(), pieces);
    ASSERT_FALSE(reply) << rest;
    EXPECT_EQ(reply.error().code, Code::kUnavailable) << reply.error().message;
    EXPECT_THAT(reply.error().message, StartsWith("remote model 'large': "));
    EXPECT_EQ(api.asked().size(), 1u);
  }
}

TEST(Remote, TriesAgainAsLongAsTheServerAsks) {
  Api api({http("429 Too Many Requests", "{}", "retry-after-ms: 30\r\n"),
           http("503 Service Unavailable", "", "retry-after: 0\r\n"), http("200 OK", kWhole)});
  double start = wall_seconds();
  auto reply = ask(api.options(), request());
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(api.asked().size(), 3u);
  EXPECT_GE(wall_seconds() - start, 0.03);
}

TEST(Remote, GivesUpAfterItsRetriesAndOnLongPauses) {
  std::string busy =
      http("500 Internal Server Error", R"({"error":{"message":"boom"}})", "retry-after-ms: 1\r\n");
  Api api({busy, busy, busy, busy});
  auto reply = ask(api.options(), request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("500 Internal Server Error: boom"));
  EXPECT_EQ(api.asked().size(), 3u);
  Api patient({http("429 Too Many Requests", "", "retry-after: 3600\r\n")});
  EXPECT_FALSE(ask(patient.options(), request()));
  EXPECT_EQ(patient.asked().size(), 1u);
  Api never({http("503 Service Unavailable", "", "x-should-retry: false\r\n")});
  EXPECT_FALSE(ask(never.options(), request()));
  EXPECT_EQ(never.asked().size(), 1u);
}

TEST(Remote, MapsErrors) {
  auto code = [](std::string_view status, std::string_view body) {
    Api api({http(status, body)});
    auto reply = ask(api.options(), request());
    EXPECT_FALSE(reply);
    EXPECT_EQ(api.asked().size(), 1u);
    return reply ? Code::kInternal : reply.error().code;
  };
  EXPECT_EQ(code("400 Bad Request", R"({"error":{"message":"too long","code":"context_length_exceeded"}})"),
            Code::kLimit);
  EXPECT_EQ(code("400 Bad Request", R"({"error":{"message":"bad"}})"), Code::kInvalidArgument);
  EXPECT_EQ(code("401 Unauthorized", ""), Code::kUnavailable);
  EXPECT_EQ(code("200 OK", "<html>"), Code::kUnavailable);
  EXPECT_EQ(code("200 OK", R"({"choices":[]})"), Code::kUnavailable);
}

TEST(Remote, ChoicesInEachModeAndOnlyChoices) {
  auto whole = [](std::string content) {
    std::string quoted;
    for (char c : content) quoted += c == '"' ? "\\\"" : std::string(1, c);
    return http(
        "200 OK",
        fmt::format(R"({{"choices":[{{"message":{{"content":"{}"}},"finish_reason":"stop"}}]}})", quoted));
  };
  struct Case {
    ChoiceMode mode;
    std::string good, bad, sent;
  };
  for (const Case& c :
       {Case{ChoiceMode::kJsonSchema, R"({"answer":"blue"})", "blue", R"("enum":["red","blue"])"},
        Case{ChoiceMode::kGuidedChoice, "blue", "blueish", R"("guided_choice":["red","blue"])"},
        Case{ChoiceMode::kPrompt, " blue ", "It is blue.", R"(nothing else:\nred\nblue)"}}) {
    Api api({whole(c.good), whole(c.bad)});
    RemoteOptions options = api.options();
    options.choice_mode = c.mode;
    std::vector<std::string> pieces;
    auto reply = ask_in_pieces(options, request({"red", "blue"}), pieces);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->text, "blue");
    EXPECT_THAT(pieces, ElementsAre("blue"));
    EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("no usage")));
    EXPECT_THAT(api.asked().at(0), HasSubstr(c.sent));
    EXPECT_FALSE(ask(options, request({"red", "blue"})));
  }
}

TEST(Remote, RefusesWhatItCannotSendAndWhatIsNotSetUp) {
  Api api({});
  Request r = request();
  r.sampling.top_k = 5;
  auto reply = ask(api.options(), r);
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, StartsWith("top_k: "));
  RemoteOptions options = api.options();
  options.offline = true;
  EXPECT_FALSE(ask(options, request()));
  EXPECT_TRUE(api.asked().empty());
  options.key_env = "BANTAM_TEST_NOT_SET";
  auto made = make_remote(options);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("BANTAM_TEST_NOT_SET"));
  options = api.options();
  options.base_url = "example.com/v1";
  EXPECT_FALSE(make_remote(options));
}

TEST(Remote, DeadlineAndCancelEndThePause) {
  Api api({http("503 Service Unavailable", "", "retry-after: 20\r\n"),
           http("503 Service Unavailable", "", "retry-after: 20\r\n")});
  double start = wall_seconds();
  Request r = request();
  r.deadline = std::chrono::steady_clock::now() + 2s;
  EXPECT_FALSE(ask(api.options(), r));  // the pause would end after the deadline
  std::stop_source stop;
  r = request();
  r.cancel = stop.get_token();
  std::jthread later([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  auto reply = ask(api.options(), r);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);
  EXPECT_LT(wall_seconds() - start, 5);
}

TEST(Retry, ReadsThePauseInEveryForm) {
  EXPECT_EQ(net::asked_pause({{"retry-after-ms", "12.5"}}), 12ms);
  EXPECT_EQ(net::asked_pause({{"Retry-After", "3"}}), 3000ms);
  EXPECT_EQ(net::asked_pause({{"retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"}}), 0ms);
  EXPECT_EQ(net::asked_pause({{"retry-after", "soon"}}), std::nullopt);
  EXPECT_EQ(net::asked_pause({{"retry-after", "-1"}}), std::nullopt);
  EXPECT_EQ(net::asked_pause({}), std::nullopt);
  Rng rng(1);
  for (unsigned n = 0; n < 20; ++n) {
    auto pause = net::backoff(n, rng);
    EXPECT_LE(pause, std::min(8000ms, 500ms * (1 << std::min(n, 5U))));
    EXPECT_GE(pause, std::min(8000ms, 500ms * (1 << std::min(n, 5U))) * 3 / 4);
    EXPECT_LE(net::backoff(n, rng, 1ms, 3ms), 3ms);
  }
}

}  // namespace
}  // namespace bantam::chat
