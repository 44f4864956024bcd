// What a remote model passes on beside text, its limits, and what a failed call costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/remote_for_test.h"
#include "chat/request_for_test.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string chat_answer(std::string_view message, std::string_view more = "") {
  return http("200 OK", fmt::format(R"({{"choices":[{{"message":{},"finish_reason":"stop"{}}}],)"
                                    R"("usage":{{"prompt_tokens":1000,"completion_tokens":500}}}})",
                                    message, more));
}

TEST(RemoteFeatures, SendsToolsAndFormatsAndReadsCalls) {
  Api api({chat_answer(R"({"content":null,"tool_calls":[{"id":"c1","type":"function","function":)"
                       R"({"name":"add","arguments":"{\"a\":1}"}}]})")});
  Request r = user();
  r.messages.push_back({"assistant", "", {{"c0", "add", "{}"}}});
  r.messages.push_back({"tool", "3", {}, "c0"});
  r.tools = {{"add", "adds", R"({"type":"object"})", true}};
  r.tool_choice = {ToolChoice::Mode::kFunction, "add"};
  r.parallel_tool_calls = false;
  r.format = {ResponseFormat::Kind::kJsonSchema, "sum", "", R"({"type":"number"})", true};
  r.sampling.presence_penalty = 0.5F;
  r.sampling.logit_bias = {{7, -100.0F}};
  auto reply = ask(api.options(), r);
  ASSERT_TRUE(reply) << reply.error().message;
  ASSERT_EQ(reply->tool_calls.size(), 1u);
  EXPECT_EQ(reply->tool_calls[0].id, "c1");
  EXPECT_EQ(reply->tool_calls[0].arguments, R"({"a":1})");
  std::string sent = api.asked().at(0);
  for (
      const char* part :
      {R"("tools":[{"type":"function","function":{"name":"add","description":"adds","parameters":{"type":"object"},"strict":true}})",
       R"("tool_choice":{"type":"function","function":{"name":"add"}})", R"("parallel_tool_calls":false)",
       R"("json_schema":{"name":"sum","strict":true,"schema":{"type":"number"}})",
       R"("presence_penalty":0.5)", R"("logit_bias":{"7":-100)", R"("tool_call_id":"c0")",
       R"("tool_calls":[{"id":"c0","type":"function","function":{"name":"add","arguments":"{}"}}])"})
    EXPECT_THAT(sent, HasSubstr(part));
  r.tools[0].parameters = "{nonsense";
  EXPECT_THAT(ask(api.options(), r).error().message, HasSubstr("tools: [0].function.parameters"));
}

TEST(RemoteFeatures, StreamsCallsAndLogprobsAndEndsThoughTheConnectionStays) {
  Api api(
      {"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
       "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\","
       "\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1}]}]}}]}\n\n"
       "data: "
       "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\","
       "\"arguments\":\"\"}}]}}]}\n\n"
       "data: "
       "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n"
       "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"
       "\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\n"
       "data: [DONE]\n\n"},
      /*keep_open=*/true);
  Request r = user();
  r.logprobs = true;
  r.top_logprobs = 1;
  std::vector<std::string> seen;
  double start = wall_seconds();
  auto reply = ask(api.options(), r, [&](Event event) -> Awaitable<bool> {
    if (auto* text = std::get_if<TextDelta>(&event)) seen.push_back(text->text);
    if (auto* call = std::get_if<ToolCallDelta>(&event))
      seen.push_back(fmt::format("{}:{}:{}:{}", call->index, call->id, call->name, call->arguments));
    co_return true;
  });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_LT(wall_seconds() - start, 20);
  EXPECT_THAT(seen, ElementsAre("a", "0:c1:f:", "0:::{}"));
  EXPECT_EQ(reply->finish_reason, "tool_calls");
  EXPECT_EQ(reply->tool_calls.at(0).arguments, "{}");
  EXPECT_EQ(reply->usage.cached_tokens, 1u);
  ASSERT_EQ(reply->logprobs.size(), 1u);
  EXPECT_EQ(reply->logprobs[0].logprob, -0.5);
  EXPECT_EQ(reply->logprobs[0].top.at(0).first, "b");
}

TEST(RemoteFeatures, ContinuesATextByCompletions) {
  Api api({http("200 OK", R"({"choices":[{"text":" upon a time","finish_reason":"length"}],)"
                          R"("usage":{"prompt_tokens":1,"completion_tokens":3}})"),
           http("200 OK",
                "data: {\"choices\":[{\"text\":\" upon\"}]}\n\ndata: {\"choices\":[{\"text\":\" a\","
                "\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n")});
  Request r;
  r.prompt = "once";
  auto reply = ask(api.options(), r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, " upon a time");
  EXPECT_EQ(reply->finish_reason, "length");
  std::string streamed;
  reply = ask(api.options(), r, text_sink([&](std::string_view piece) {
                streamed += piece;
                return true;
              }));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(streamed, " upon a");
  EXPECT_THAT(api.asked()[0], StartsWith("POST /v1/completions "));
  EXPECT_THAT(api.asked()[0], HasSubstr(R"("prompt":"once")"));
  r.tools = {{"f"}};
  EXPECT_THAT(ask(api.options(), r).error().message, StartsWith("tools: "));
}

TEST(RemoteFeatures, Embeds) {
  Api api({http("200 OK", R"({"data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0.5]}],)"
                          R"("usage":{"prompt_tokens":1000}})"),
           http("200 OK", R"({"data":[{"index":0,"embedding":[0,1]}]})"),
           http("200 OK", R"({"data":[{"index":0,"embedding":[0,1]},{"index":1,"embedding":[1]}]})")});
  auto model = *make_remote(api.options());
  EmbedRequest r;
  r.inputs = {"a", "b"};
  r.dimensions = 2;
  auto out = wait(model->embed(r));
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_THAT(out->vectors, ElementsAre(ElementsAre(1, 0.5F), ElementsAre(0, 1)));
  EXPECT_DOUBLE_EQ(out->cost, 1000 * 2e-6);
  EXPECT_THAT(api.asked()[0], StartsWith("POST /v1/embeddings "));
  EXPECT_THAT(api.asked()[0], HasSubstr(R"("dimensions":2)"));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(wait(model->embed(r)).error().code, Code::kUnavailable);
}

TEST(RemoteFeatures, HoldsToItsLimitsBeforeTheCall) {
  Api api({chat_answer(R"({"content":"x"})"), chat_answer(R"({"content":"x"})"),
           chat_answer(R"({"content":"x"})")});
  RemoteOptions options = api.options();
  options.limits.money_per_day = 0.02;  // an answer costs 0.007
  options.max_answer_tokens = 1000;     // and may cost 0.01 and a little
  auto model = *make_remote(options);
  Request r = user();
  auto reply = wait(model->generate(r, {}));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("max_tokens was set to 1000")));
  EXPECT_THAT(api.asked()[0], HasSubstr(R"("max_tokens":1000)"));
  EXPECT_TRUE(wait(model->generate(r, {})));
  reply = wait(model->generate(r, {}));  // 0.014 are spent
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("not called: max_cost_per_day is 0.02"));
  r.max_tokens = 100;
  EXPECT_TRUE(wait(model->generate(r, {})));
  EXPECT_EQ(api.asked().size(), 3u);
}

TEST(RemoteFeatures, TellsOfCallsThatFailedAndMayHaveCostSomething) {
  auto steps_of = [](std::string answer, std::vector<std::string> choices = {}) {
    Api api({std::move(answer)});
    RemoteOptions options = api.options();
    options.max_retries = 0;
    std::vector<Step> steps;
    Request r = user();
    r.choices = std::move(choices);
    r.max_tokens = 100;
    r.on_failed_step = [&](const Step& step) { steps.push_back(step); };
    EXPECT_FALSE(ask(options, r));
    return steps;
  };
  EXPECT_TRUE(steps_of(http("429 Too Many Requests", "{}")).empty());
  EXPECT_TRUE(steps_of(http("500 Internal Server Error", "{}")).empty());
  auto cut = steps_of("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
  ASSERT_EQ(cut.size(), 1u);
  EXPECT_GT(cut[0].cost, 100 * 10e-6);  // the most it can have cost
  EXPECT_THAT(cut[0].outcome, StartsWith("failed: "));
  auto wrong = steps_of(chat_answer(R"({"content":"no"})"), {"a", "b"});
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_DOUBLE_EQ(wrong[0].cost, (1000 * 2 + 500 * 10) * 1e-6);  // what it did
}

TEST(RemoteFeatures, AStreamThatKeepsTheLineOpenWithoutTokensIsEnded) {
  net::RawServer silent([](net::RawSocket& s) {
    s.read_request();
    s.send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    while (s.send(": still here\n\n")) std::this_thread::sleep_for(20ms);
  });
  RemoteOptions options;
  options.name = "large";
  options.base_url = silent.url("/v1");
  options.http.read_timeout = 200ms;
  std::string text;
  auto reply = ask(options, user(), text_sink([&](std::string_view piece) {
                     text += piece;
                     return true;
                   }));
  ASSERT_FALSE(reply);
  EXPECT_EQ(text, "a");
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("no token within 200 ms"));
}

}  // namespace
}  // namespace bantam::chat
