#include "server/completion_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bantam::server {
namespace {

using testing::ElementsAre;

/// A request with these members beside a model and a message.
std::expected<CompletionRequest, ApiError> with(std::string members) {
  if (!members.empty()) members = "," + members;
  return read_completion_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + members +
                                 "}");
}

TEST(CompletionRequest, ReadsWhatIsHonoured) {
  auto r = read_completion_request(R"({"model":"m","messages":[
      {"role":"system","content":"a"},
      {"role":"assistant","content":"b","refusal":null,"annotations":[],"tool_calls":null},
      {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}],
      "temperature":0.5,"top_p":0.9,"top_k":3,"min_p":0.1,"seed":-1,"max_completion_tokens":7,"max_tokens":7,"stop":"x",
      "stream":true,"stream_options":{"include_usage":true},"guided_choice":["p","q"]})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->model, "m");
  ASSERT_EQ(r->chat.messages.size(), 3u);
  EXPECT_EQ(r->chat.messages[2].content, "cd");
  EXPECT_EQ(r->chat.sampling.temperature, 0.5F);
  EXPECT_EQ(r->chat.sampling.top_p, 0.9F);
  EXPECT_EQ(r->chat.sampling.top_k, 3u);
  EXPECT_EQ(r->chat.sampling.min_p, 0.1F);
  EXPECT_EQ(r->chat.sampling.seed, UINT64_MAX);
  EXPECT_EQ(r->chat.max_tokens, 7u);
  EXPECT_THAT(r->chat.stop, ElementsAre("x"));
  EXPECT_THAT(r->chat.choices, ElementsAre("p", "q"));
  EXPECT_TRUE(r->stream);
  EXPECT_TRUE(r->include_usage);
  EXPECT_FALSE(with("")->chat.sampling.temperature);
}

TEST(CompletionRequest, AcceptsWhatChangesNothing) {
  for (const char* members :
       {R"("n":1)", R"("n":1.0)", R"("presence_penalty":0,"frequency_penalty":0.0)", R"("logprobs":false)",
        R"("logit_bias":{})", R"("tools":[])", R"("tool_choice":"none")",
        R"("response_format":{"type":"text"})", R"("user":"u","metadata":{"a":"b"},"store":false)",
        R"("service_tier":"auto")", R"("modalities":["text"])",
        R"("temperature":null,"audio":null,"tools":null)", R"("parallel_tool_calls":true)"}) {
    auto r = with(members);
    EXPECT_TRUE(r) << members << ": " << r.error().message;
  }
}

TEST(CompletionRequest, RefusesByName) {
  struct Case {
    const char *members, *param, *code;
  };
  for (const Case& c : {
           Case{R"("n":2)", "n", "unsupported_value"},
           {R"("presence_penalty":0.1)", "presence_penalty", "unsupported_value"},
           {R"("logprobs":true)", "logprobs", "unsupported_value"},
           {R"("logit_bias":{"1":2})", "logit_bias", "unsupported_value"},
           {R"("tools":[{}])", "tools", "unsupported_value"},
           {R"("response_format":{"type":"json_object"})", "response_format", "unsupported_value"},
           {R"("store":true)", "store", "unsupported_value"},
           {R"("audio":{})", "audio", "unsupported_parameter"},
           {R"("prediction":{})", "prediction", "unsupported_parameter"},
           {R"("temprature":1)", "temprature", "unknown_parameter"},
           {R"("temperature":"1")", "temperature", "invalid_type"},
           {R"("temperature":2.1)", "temperature", "invalid_value"},
           {R"("top_p":0)", "top_p", "invalid_value"},
           {R"("max_tokens":0)", "max_tokens", "invalid_value"},
           {R"("max_tokens":-1)", "max_tokens", "invalid_value"},
           {R"("max_tokens":1.5)", "max_tokens", "invalid_type"},
           {R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens", "invalid_value"},
           {R"("stop":["a","b","c","d","e"])", "stop", "invalid_value"},
           {R"("stop":[""])", "stop[0]", "invalid_value"},
           {R"("stop":7)", "stop", "invalid_type"},
           {R"("stream":"yes")", "stream", "invalid_type"},
           {R"("stream_options":{"include_usage":true})", "stream_options", "invalid_value"},
           {R"("stream":true,"stream_options":{"x":1})", "stream_options.x", "unknown_parameter"},
           {R"("guided_choice":[])", "guided_choice", "invalid_value"},
           {R"("guided_choice":["a","a"])", "guided_choice", "invalid_value"},
           {R"("metadata":{"a":1})", "metadata.a", "invalid_type"},
           {R"("seed":0.5)", "seed", "invalid_type"},
       }) {
    auto r = with(c.members);
    ASSERT_FALSE(r) << c.members;
    EXPECT_EQ(r.error().status, 400);
    EXPECT_EQ(r.error().type, "invalid_request_error");
    EXPECT_EQ(r.error().param, c.param) << c.members;
    EXPECT_EQ(r.error().code, c.code) << c.members;
  }
}

TEST(CompletionRequest, RefusesBrokenBodiesAndMessages) {
  struct Case {
    const char *body, *param;
  };
  for (const Case& c : {
           Case{"", ""},
           {"[]", ""},
           {"{}", "model"},
           {R"({"model":"m"})", "messages"},
           {R"({"model":1,"messages":[{"role":"user","content":"x"}]})", "model"},
           {R"({"model":"m","messages":[]})", "messages"},
           {R"({"model":"m","messages":"hi"})", "messages"},
           {R"({"model":"m","messages":["hi"]})", "messages[0]"},
           {R"({"model":"m","messages":[{"content":"x"}]})", "messages[0].role"},
           {R"({"model":"m","messages":[{"role":"tool","content":"x"}]})", "messages[0].role"},
           {R"({"model":"m","messages":[{"role":"user"}]})", "messages[0].content"},
           {R"({"model":"m","messages":[{"role":"user","content":5}]})", "messages[0].content"},
           {R"({"model":"m","messages":[{"role":"user","content":"x","name":"Bob"}]})", "messages[0].name"},
           {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
            "messages[0].content[0].type"},
           {R"({"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]})",
            "messages[0].content[0].text"},
       }) {
    auto r = read_completion_request(c.body);
    ASSERT_FALSE(r) << c.body;
    EXPECT_EQ(r.error().status, 400);
    EXPECT_EQ(r.error().param, c.param) << c.body;
  }
}

TEST(ApiErrors, AreOpenAis) {
  EXPECT_EQ(
      (ApiError{.status = 404, .message = "m", .param = "model", .code = "model_not_found"}.json()),
      R"({"error":{"code":"model_not_found","message":"m","param":"model","type":"invalid_request_error"}})");
  EXPECT_EQ(api_error(500, "m").json(),
            R"({"error":{"code":null,"message":"m","param":null,"type":"server_error"}})");
  EXPECT_EQ(api_error(Error{Code::kLimit, "too long"}).code, "context_length_exceeded");
  EXPECT_EQ(api_error(Error{Code::kInvalidArgument, "stop: no"}).param, "stop");
  EXPECT_EQ(api_error(Error{Code::kInvalidArgument, "remote: no"}).param, "");
  EXPECT_EQ(api_error(Error{Code::kUnavailable, "x"}).response().headers.get("x-should-retry"), "false");
}

}  // namespace
}  // namespace bantam::server
