#include "server/chat_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bantam::server {
namespace {

using testing::ElementsAre;

/// A request with these members beside a model and a message.
std::expected<Generation, ApiError> chat_with(std::string members) {
  if (!members.empty()) members = "," + members;
  return read_chat_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + members + "}",
                           {.max_answers = 4});
}

TEST(ChatRequest, ReadsWhatIsHonoured) {
  auto r = read_chat_request(R"({"model":"m","messages":[
      {"role":"system","content":"a"},
      {"role":"assistant","content":"b","refusal":null,"annotations":[],"tool_calls":null},
      {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}],
      "temperature":0.5,"top_p":0.9,"top_k":3,"min_p":0.1,"seed":-1,"max_completion_tokens":7,"max_tokens":7,"stop":"x",
      "stream":true,"stream_options":{"include_usage":true},"guided_choice":["p","q"]})",
                             {});
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->model, "m");
  ASSERT_EQ(r->chats.size(), 1u);
  const chat::Request& chat = r->chats[0];
  ASSERT_EQ(chat.messages.size(), 3u);
  EXPECT_EQ(chat.messages[2].content, "cd");
  EXPECT_EQ(chat.sampling.temperature, 0.5F);
  EXPECT_EQ(chat.sampling.top_p, 0.9F);
  EXPECT_EQ(chat.sampling.top_k, 3u);
  EXPECT_EQ(chat.sampling.min_p, 0.1F);
  EXPECT_EQ(chat.sampling.seed, UINT64_MAX);
  EXPECT_EQ(chat.max_tokens, 7u);
  EXPECT_THAT(chat.stop, ElementsAre("x"));
  EXPECT_THAT(chat.choices, ElementsAre("p", "q"));
  EXPECT_TRUE(r->stream);
  EXPECT_FALSE(chat_with("")->chats[0].sampling.temperature);
}

TEST(ChatRequest, ReadsPenaltiesLogprobsAndSeveralAnswers) {
  auto r = chat_with(
      R"("n":3,"seed":5,"frequency_penalty":0.5,"presence_penalty":-1,"logit_bias":{"7":-100,"12":2.5},
                   "logprobs":true,"top_logprobs":2)");
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats.size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(r->chats[i].sampling.seed, 5 + i);
  const chat::Request& chat = r->chats[2];
  EXPECT_EQ(chat.sampling.frequency_penalty, 0.5F);
  EXPECT_EQ(chat.sampling.presence_penalty, -1.0F);
  EXPECT_THAT(chat.sampling.logit_bias, ElementsAre(std::pair(7u, -100.0F), std::pair(12u, 2.5F)));
  EXPECT_TRUE(chat.logprobs);
  EXPECT_EQ(chat.top_logprobs, 2u);
}

constexpr const char* kTools = R"("tools":[
    {"type":"function","function":{"name":"weather","description":"Of a place","strict":true,
     "parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}}}},
    {"type":"function","function":{"name":"time"}}])";

TEST(ChatRequest, ReadsToolsInTheOrderOfTheirSchemas) {
  using Mode = chat::ToolChoice::Mode;
  auto r = chat_with(kTools);
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats[0].tools.size(), 2u);
  const chat::Tool& tool = r->chats[0].tools[0];
  EXPECT_EQ(tool.name, "weather");
  EXPECT_EQ(tool.description, "Of a place");
  EXPECT_TRUE(tool.strict);
  EXPECT_EQ(tool.parameters,
            R"({"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}})");
  EXPECT_EQ(r->chats[0].tool_choice.mode, Mode::kAuto);
  EXPECT_EQ(chat_with(std::string(kTools) + R"(,"tool_choice":"required")")->chats[0].tool_choice.mode,
            Mode::kRequired);
  r = chat_with(R"("tool_choice":{"type":"function","function":{"name":"time"}},)" + std::string(kTools));
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->chats[0].tool_choice.mode, Mode::kFunction);
  EXPECT_EQ(r->chats[0].tool_choice.function, "time");
  r = chat_with(std::string(kTools) +
                R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
           "tools":[{"type":"function","function":{"name":"time"}}]}},"parallel_tool_calls":false)");
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats[0].tools.size(), 1u);
  EXPECT_EQ(r->chats[0].tools[0].name, "time");
  EXPECT_EQ(r->chats[0].tool_choice.mode, Mode::kRequired);
  EXPECT_FALSE(r->chats[0].parallel_tool_calls);
}

TEST(ChatRequest, ReadsCallsAndTheirResults) {
  auto r = read_chat_request(R"({"model":"m","messages":[{"role":"user","content":"hi","name":"Ann"},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"c1","type":"function","function":{"name":"time","arguments":"{\"a\":1}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"noon"},
      {"role":"assistant","refusal":"I will not"},{"role":"user","content":"ok"}]})",
                             {});
  ASSERT_TRUE(r) << r.error().message;
  const auto& messages = r->chats[0].messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].name, "Ann");
  ASSERT_EQ(messages[1].tool_calls.size(), 1u);
  EXPECT_EQ(messages[1].tool_calls[0].id, "c1");
  EXPECT_EQ(messages[1].tool_calls[0].name, "time");
  EXPECT_EQ(messages[1].tool_calls[0].arguments, R"({"a":1})");
  EXPECT_EQ(messages[2].role, "tool");
  EXPECT_EQ(messages[2].tool_call_id, "c1");
  EXPECT_EQ(messages[3].content, "I will not");
}

TEST(ChatRequest, ReadsResponseFormats) {
  using Kind = chat::ResponseFormat::Kind;
  EXPECT_EQ(chat_with(R"("response_format":{"type":"json_object"})")->chats[0].format.kind,
            Kind::kJsonObject);
  auto r = chat_with(R"("response_format":{"type":"json_schema","json_schema":{"name":"person","strict":true,
      "description":"One person","schema":{"type":"object","properties":{"name":{"type":"string"},"age":{}}}}})");
  ASSERT_TRUE(r) << r.error().message;
  const chat::ResponseFormat& format = r->chats[0].format;
  EXPECT_EQ(format.kind, Kind::kJsonSchema);
  EXPECT_EQ(format.name, "person");
  EXPECT_EQ(format.description, "One person");
  EXPECT_EQ(format.schema, R"({"type":"object","properties":{"name":{"type":"string"},"age":{}}})");
  EXPECT_TRUE(format.strict);
}

TEST(ChatRequest, AcceptsWhatChangesNothing) {
  for (const char* members :
       {R"("n":1)", R"("n":1.0)", R"("presence_penalty":0,"frequency_penalty":0.0)", R"("logprobs":false)",
        R"("logit_bias":{})", R"("tools":[])", R"("tool_choice":"none")",
        R"("response_format":{"type":"text"})", R"("user":"u","metadata":{"a":"b"},"store":false)",
        R"("service_tier":"auto")", R"("modalities":["text"])",
        R"("temperature":null,"audio":null,"tools":null)", R"("parallel_tool_calls":true)"}) {
    auto r = chat_with(members);
    EXPECT_TRUE(r) << members << ": " << r.error().message;
  }
}

TEST(ChatRequest, ReadsAdaptersAndContextShift) {
  auto r = chat_with(R"("lora":[{"id":1,"scale":0.5},{"scale":-2,"id":0}],"context_shift":true,"n_keep":7)");
  ASSERT_TRUE(r);
  const chat::Request& chat = r->chats[0];
  ASSERT_TRUE(chat.adapters);
  EXPECT_EQ(*chat.adapters, (std::vector<std::pair<uint32_t, float>>{{1, 0.5F}, {0, -2}}));
  EXPECT_TRUE(chat.context_shift);
  EXPECT_EQ(chat.context_keep, 7u);
  EXPECT_TRUE(chat_with(R"("lora":[])")->chats[0].adapters);
  EXPECT_FALSE(chat_with(R"("seed":1)")->chats[0].adapters);
}

TEST(ChatRequest, RefusesByName) {
  struct Case {
    const char *members, *param, *code;
  };
  for (
      const Case& c : {
          Case{R"("n":5)", "n", "invalid_value"},
          {R"("n":0)", "n", "invalid_value"},
          {R"("presence_penalty":2.1)", "presence_penalty", "invalid_value"},
          {R"("logprobs":1)", "logprobs", "invalid_type"},
          {R"("top_logprobs":3)", "top_logprobs", "invalid_value"},
          {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "invalid_value"},
          {R"("logit_bias":{"x":2})", "logit_bias", "invalid_value"},
          {R"("logit_bias":{"1":101})", "logit_bias.1", "invalid_value"},
          {R"("tools":[{}])", "tools[0].type", "missing_required_parameter"},
          {R"("tools":[{"type":"custom","custom":{"name":"x"}}])", "tools[0].type", "unsupported_value"},
          {R"("tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name",
           "invalid_value"},
          {R"("tools":[{"type":"function","function":{"name":"a","colour":1}}])", "tools[0].function.colour",
           "unknown_parameter"},
          {R"("tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}])",
           "tools[1].function.name", "invalid_value"},
          {R"("tool_choice":"required")", "tool_choice", "invalid_value"},
          {R"("tool_choice":"sometimes")", "tool_choice", "invalid_value"},
          {R"("tool_choice":{"type":"function","function":{"name":"a"}})", "tool_choice", "invalid_value"},
          {R"("functions":[{"name":"a"}])", "functions", "unsupported_value"},
          {R"("response_format":{"type":"xml"})", "response_format.type", "unsupported_value"},
          {R"("response_format":{"type":"json_schema"})", "response_format.json_schema",
           "missing_required_parameter"},
          {R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
           "response_format.json_schema.schema", "missing_required_parameter"},
          {R"("response_format":{"type":"json_object"},"guided_choice":["a"])", "guided_choice",
           "invalid_value"},
          {R"("lora":{})", "lora", "invalid_type"},
          {R"("lora":[{"id":0}])", "lora[0].scale", "missing_required_parameter"},
          {R"("lora":[{"id":0,"scale":1},{"id":-1,"scale":1}])", "lora[1].id", "invalid_value"},
          {R"("lora":[{"id":0,"scale":1,"x":2}])", "lora[0].x", "unknown_parameter"},
          {R"("n_keep":4)", "n_keep", "invalid_value"},
          {R"("context_shift":1)", "context_shift", "invalid_type"},
          {R"("typed_events":true)", "typed_events", "invalid_value"},
          {R"("reasoning_effort":"high")", "reasoning_effort", "unsupported_value"},
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
          {R"("max_tokens":5,"max_completion_tokens":6)", "max_completion_tokens", "invalid_value"},
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
    auto r = chat_with(c.members);
    ASSERT_FALSE(r) << c.members;
    EXPECT_EQ(r.error().status, 400);
    EXPECT_EQ(r.error().type, "invalid_request_error");
    EXPECT_EQ(r.error().param, c.param) << c.members;
    EXPECT_EQ(r.error().code, c.code) << c.members;
  }
}

TEST(ChatRequest, RefusesBrokenBodiesAndMessages) {
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
           {R"({"model":"m","messages":[{"role":"robot","content":"x"}]})", "messages[0].role"},
           {R"({"model":"m","messages":[{"role":"tool","content":"x"}]})", "messages[0].tool_call_id"},
           {R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]})",
            "messages[0].tool_calls[0].function"},
           {R"({"model":"m","messages":[{"role":"user","content":"x","tool_calls":[{"id":"a"}]}]})",
            "messages[0].tool_calls"},
           {R"({"model":"m","messages":[{"role":"user"}]})", "messages[0].content"},
           {R"({"model":"m","messages":[{"role":"user","content":5}]})", "messages[0].content"},
           {R"({"model":"m","messages":[{"role":"user","content":"x","name":7}]})", "messages[0].name"},
           {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
            "messages[0].content[0].type"},
           {R"({"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]})",
            "messages[0].content[0].text"},
       }) {
    auto r = read_chat_request(c.body, {});
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
  EXPECT_EQ(api_error(Error{Code::kUnavailable, "x"}).response({}).headers.get("x-should-retry"), "false");
}

}  // namespace
}  // namespace bantam::server
