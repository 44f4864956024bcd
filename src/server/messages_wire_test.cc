#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/messages_reply.h"
#include "server/messages_request.h"
#include "server/stream_for_test.h"

namespace bantam::server {
namespace {

using nlohmann::json;
using testing::ElementsAre;

std::expected<Generation, ApiError> messages_with(
    const std::string& members, const std::string& messages = R"([{"role":"user","content":"hi"}])") {
  return read_messages_request(
      R"({"model":"m","max_tokens":5,"messages":)" + messages + (members.empty() ? "" : "," + members) + "}",
      {});
}

TEST(MessagesRequest, ReadsBlocksAndTools) {
  auto r = messages_with(
      R"("system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}],
      "stop_sequences":["x"],"temperature":1,"top_k":5,"metadata":{"user_id":"u"},"stream":true,
      "tools":[{"name":"time","description":"d","input_schema":{"type":"object","properties":{"z":{},"a":{}}}}],
      "tool_choice":{"type":"any","disable_parallel_tool_use":true})",
      R"([{"role":"user","content":"hi"},
      {"role":"assistant","content":[{"type":"text","text":"wait","citations":null},
        {"type":"tool_use","id":"t1","name":"time","input":{"z":1,"a":2},"caller":{"type":"direct"}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"no clock"}]},
        {"type":"text","text":"again"}]}])");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_TRUE(r->stream);
  const chat::Request& chat = r->chats[0];
  ASSERT_EQ(chat.messages.size(), 5u);
  EXPECT_EQ(chat.messages[0].role, "system");
  EXPECT_EQ(chat.messages[0].content, "a\n\nb");
  EXPECT_EQ(chat.messages[2].content, "wait");
  EXPECT_EQ(chat.messages[2].tool_calls[0].arguments, R"({"z":1,"a":2})");
  EXPECT_EQ(chat.messages[3].role, "tool");
  EXPECT_EQ(chat.messages[3].tool_call_id, "t1");
  EXPECT_EQ(chat.messages[3].content, "Error: no clock");
  EXPECT_EQ(chat.messages[4].content, "again");
  EXPECT_THAT(chat.stop, ElementsAre("x"));
  EXPECT_EQ(chat.max_tokens, 5u);
  EXPECT_EQ(chat.sampling.top_k, 5u);
  EXPECT_EQ(chat.tools[0].parameters, R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(chat.tool_choice.mode, chat::ToolChoice::Mode::kRequired);
  EXPECT_FALSE(chat.parallel_tool_calls);
  r = messages_with(R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->chats[0].format.schema, R"({"type":"object"})");
}

TEST(MessagesRequest, RefusesByName) {
  const char* hi = R"([{"role":"user","content":"hi"}])";
  struct Case {
    const char *members, *messages, *param;
  };
  for (
      const Case& c : {
          Case{R"("temperature":1.5)", hi, "temperature"},
          {R"("thinking":{"type":"enabled","budget_tokens":1024})", hi, "thinking.type"},
          {R"("n":2)", hi, "n"},
          {R"("container":"x")", hi, "container"},
          {R"("tools":[{"type":"web_search_20250305","name":"web_search"}])", hi, "tools[0].type"},
          {R"("tools":[{"name":"x"}])", hi, "tools[0].input_schema"},
          {R"("tool_choice":{"type":"tool","name":"x"})", hi, "tool_choice"},
          {"", R"([{"role":"user","content":[{"type":"image","source":{}}]}])",
           "messages[0].content[0].type"},
          {"", R"([{"role":"user","content":"a"},{"role":"assistant","content":"b"}])", "messages"},
          {"", R"([{"role":"tool","content":"a"}])", "messages[0].role"},
          {"",
           R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"tool_result","tool_use_id":"t"}]}])",
           "messages[0].content[1]"},
      }) {
    auto r = messages_with(c.members, c.messages);
    ASSERT_FALSE(r) << c.members << c.messages;
    EXPECT_EQ(r.error().param, c.param) << c.members << c.messages;
  }
  auto r = read_messages_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().param, "max_tokens");
  json error = json::parse(r.error().json(ErrorForm::kAnthropic));
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["error"]["type"], "invalid_request_error");
  EXPECT_THAT(error["error"]["message"].get<std::string>(), testing::HasSubstr("max_tokens"));
  EXPECT_TRUE(read_count_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", {}));
}

TEST(MessagesReply, Whole) {
  chat::Reply reply = reply_of("hello", "tool_calls");
  reply.tool_calls = {{"t1", "time", R"({"a":1})"}};
  json b = json::parse(make_messages_reply("asked")->whole({&reply, 1}));
  EXPECT_EQ(b["type"], "message");
  EXPECT_EQ(b["model"], "asked");
  EXPECT_EQ(b["stop_reason"], "tool_use");
  EXPECT_EQ(b["content"][0]["text"], "hello");
  EXPECT_EQ(b["content"][1], json::parse(R"({"type":"tool_use","id":"t1","name":"time","input":{"a":1}})"));
  EXPECT_EQ(b["usage"]["input_tokens"], 6);
  EXPECT_EQ(b["usage"]["cache_read_input_tokens"], 4);
  EXPECT_EQ(b["usage"]["output_tokens"], 2);
}

TEST(MessagesReply, Streams) {
  auto format = make_messages_reply("m");
  auto events = stream(*format,
                       {chat::TextDelta{"hel"}, chat::TextDelta{"lo"},
                        chat::ToolCallDelta{0, "t1", "time", ""}, chat::ToolCallDelta{0, "", "", "{}"}},
                       reply_of("hello", "length"));
  EXPECT_THAT(types(events),
              ElementsAre("message_start", "content_block_start", "content_block_delta",
                          "content_block_delta", "content_block_stop", "content_block_start",
                          "content_block_delta", "content_block_stop", "message_delta", "message_stop"));
  for (const auto& event : events) EXPECT_EQ(event.name, event.data["type"]);
  EXPECT_EQ(events[3].data["delta"]["text"], "lo");
  EXPECT_EQ(events[5].data["index"], 1);
  EXPECT_EQ(events[5].data["content_block"]["name"], "time");
  EXPECT_EQ(events[6].data["delta"]["partial_json"], "{}");
  EXPECT_EQ(events[8].data["delta"]["stop_reason"], "max_tokens");
  EXPECT_EQ(events[8].data["usage"]["output_tokens"], 2);
  auto broken = read_events(format->failure(api_error(502, "gone")));
  EXPECT_EQ(broken[0].name, "error");
  EXPECT_EQ(broken[0].data["error"]["type"], "api_error");
}

}  // namespace
}  // namespace bantam::server
