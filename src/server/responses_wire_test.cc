#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/responses_reply.h"
#include "server/responses_request.h"
#include "server/stream_for_test.h"

namespace bantam::server {
namespace {

using nlohmann::json;
using testing::ElementsAre;

std::expected<Generation, ApiError> responses_with(const std::string& members) {
  return read_responses_request(R"({"model":"m")" + (members.empty() ? "" : "," + members) + "}", {});
}

TEST(ResponsesRequest, ReadsInputOfEveryKind) {
  auto r = responses_with(
      R"("instructions":"be kind","input":"hi","max_output_tokens":9,"temperature":0.5,"store":false)");
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats[0].messages.size(), 2u);
  EXPECT_EQ(r->chats[0].messages[0].role, "system");
  EXPECT_EQ(r->chats[0].messages[1].content, "hi");
  EXPECT_EQ(r->chats[0].max_tokens, 9u);
  r = responses_with(
      R"("input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
      {"type":"message","id":"msg_1","status":"completed","role":"assistant",
       "content":[{"type":"output_text","text":"c","annotations":[]}]},
      {"type":"function_call","call_id":"c1","name":"time","arguments":"{}"},
      {"type":"function_call","call_id":"c2","name":"time","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"noon"}],
      "tools":[{"type":"function","name":"time","parameters":{"type":"object"},"strict":true}],
      "tool_choice":{"type":"function","name":"time"},"include":["reasoning.encrypted_content"],
      "text":{"format":{"type":"json_schema","name":"x","schema":{"type":"object"}}}})");
  ASSERT_FALSE(r);  // one brace too many is no JSON
  r = responses_with(
      R"("input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
      {"type":"message","id":"msg_1","status":"completed","role":"assistant",
       "content":[{"type":"output_text","text":"c","annotations":[]}]},
      {"type":"function_call","call_id":"c1","name":"time","arguments":"{}"},
      {"type":"function_call","call_id":"c2","name":"time","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"noon"}],
      "tools":[{"type":"function","name":"time","parameters":{"type":"object"},"strict":true}],
      "tool_choice":{"type":"function","name":"time"},"include":["reasoning.encrypted_content"],
      "text":{"format":{"type":"json_schema","name":"x","schema":{"type":"object"}}})");
  ASSERT_TRUE(r) << r.error().message;
  const chat::Request& chat = r->chats[0];
  ASSERT_EQ(chat.messages.size(), 3u);
  EXPECT_EQ(chat.messages[0].content, "ab");
  EXPECT_EQ(chat.messages[1].content, "c");
  ASSERT_EQ(chat.messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(chat.messages[1].tool_calls[1].id, "c2");
  EXPECT_EQ(chat.messages[2].tool_call_id, "c1");
  EXPECT_EQ(chat.tools[0].parameters, R"({"type":"object"})");
  EXPECT_EQ(chat.tool_choice.function, "time");
  EXPECT_EQ(chat.format.schema, R"({"type":"object"})");
}

TEST(ResponsesRequest, RefusesByName) {
  for (auto [members, param] :
       {std::pair(R"("input":"a","store":true)", "store"), std::pair(R"("temperature":1)", "input"),
        std::pair(R"("input":"a","previous_response_id":"resp_1")", "previous_response_id"),
        std::pair(R"("input":"a","conversation":"c")", "conversation"),
        std::pair(R"("input":[{"type":"item_reference","id":"x"}])", "input[0]"),
        std::pair(R"("input":[{"type":"reasoning","id":"x"}])", "input[0].type"),
        std::pair(R"("input":[{"role":"user","content":[{"type":"input_image"}]}])",
                  "input[0].content[0].type"),
        std::pair(R"("input":"a","background":true)", "background"),
        std::pair(R"("input":"a","truncation":"auto")", "truncation"),
        std::pair(R"("input":"a","tools":[{"type":"web_search"}])", "tools[0].type"),
        std::pair(R"("input":"a","reasoning":{"effort":"high"})", "reasoning.effort"),
        std::pair(R"("input":"a","include":["file_search_call.results"])", "include[0]"),
        std::pair(R"("input":"a","top_logprobs":2)", "top_logprobs"),
        std::pair(R"("input":"a","text":{"format":{"type":"json_schema","name":"x"}})", "text.format.schema"),
        std::pair(R"("input":"a","messages":[])", "messages")}) {
    auto r = responses_with(members);
    ASSERT_FALSE(r) << members;
    EXPECT_EQ(r.error().param, param) << members;
    EXPECT_EQ(r.error().status, 400);
  }
}

TEST(ResponsesReply, RepeatsTheRequest) {
  auto r = responses_with(R"("input":"hi","metadata":{"a":"b"},"temperature":0.5)");
  chat::Reply reply = reply_of("ok");
  json b = json::parse(r->format->whole({&reply, 1}));
  EXPECT_EQ(b["object"], "response");
  EXPECT_EQ(b["status"], "completed");
  EXPECT_EQ(b["model"], "m");
  EXPECT_EQ(b["metadata"]["a"], "b");
  EXPECT_EQ(b["temperature"], 0.5);
  EXPECT_EQ(b["tool_choice"], "auto");
  EXPECT_EQ(b["store"], false);
  EXPECT_EQ(b["text"]["format"]["type"], "text");
  ASSERT_EQ(b["output"].size(), 1u);
  EXPECT_EQ(b["output"][0]["content"][0]["text"], "ok");
  EXPECT_EQ(b["output"][0]["status"], "completed");
  EXPECT_EQ(b["usage"]["input_tokens"], 10);
  EXPECT_EQ(b["usage"]["output_tokens"], 2);
}

TEST(ResponsesReply, StreamsTextThenCalls) {
  auto format = make_responses_reply({{"model", "m"}}, false);
  chat::Reply reply = reply_of("hello", "tool_calls");
  auto events = stream(*format,
                       {chat::TextDelta{"hel"}, chat::TextDelta{"lo"},
                        chat::ToolCallDelta{0, "c1", "time", ""}, chat::ToolCallDelta{0, "", "", "{\"a\""},
                        chat::ToolCallDelta{0, "", "", ":1}"}, chat::ToolCallDelta{1, "c2", "time", "{}"}},
                       reply);
  EXPECT_THAT(
      types(events),
      ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                  "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
                  "response.output_text.done", "response.content_part.done", "response.output_item.done",
                  "response.output_item.added", "response.function_call_arguments.delta",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.output_item.added",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.completed"));
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].data["sequence_number"], i);
    EXPECT_EQ(events[i].name, events[i].data["type"]);
  }
  json response = events.back().data["response"];
  ASSERT_EQ(response["output"].size(), 3u);
  EXPECT_EQ(response["output"][0]["content"][0]["text"], "hello");
  EXPECT_EQ(response["output"][1]["arguments"], "{\"a\":1}");
  EXPECT_EQ(response["output"][1]["call_id"], "c1");
  EXPECT_EQ(response["output"][2]["call_id"], "c2");
  EXPECT_EQ(response["id"], events[0].data["response"]["id"]);
  // Items keep their identity from their first event to the end.
  EXPECT_EQ(events[2].data["item"]["id"], response["output"][0]["id"]);
  EXPECT_EQ(events[4].data["item_id"], response["output"][0]["id"]);
  EXPECT_EQ(events[14].data["output_index"], 2);
}

TEST(ResponsesReply, CutShortAndBroken) {
  auto format = make_responses_reply({{"model", "m"}}, false);
  auto events = stream(*format, {chat::TextDelta{"hel"}}, reply_of("hel", "length"));
  EXPECT_EQ(events.back().data["type"], "response.incomplete");
  EXPECT_EQ(events.back().data["response"]["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(events.back().data["response"]["output"][0]["status"], "incomplete");
  format = make_responses_reply({{"model", "m"}}, false);
  std::string bytes = format->begin() + format->event(0, chat::TextDelta{"hel"});
  auto broken = read_events(bytes + format->failure(api_error(502, "gone")));
  EXPECT_EQ(broken.back().data["type"], "response.failed");
  EXPECT_EQ(broken.back().data["response"]["error"]["code"], "server_error");
  EXPECT_EQ(broken.back().data["response"]["error"]["message"], "gone");
  EXPECT_EQ(broken.back().data["response"]["status"], "failed");
}

}  // namespace
}  // namespace bantam::server
