#include "chat/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bantam::chat {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::vector<Tool> kTools{{"weather", "Of a city", R"({"type":"object","properties":{"z":{},"a":{}}})"},
                               {"time"}};

TEST(ToolCalls, ReadsEveryForm) {
  for (const char* text :
       {R"({"name":"weather","arguments":{"z":1,"a":2}})",
        R"( [{"name":"weather","parameters":{"z":1,"a":2}}] )",
        "<tool_call>\n{\"name\":\"weather\",\"arguments\":{\"z\":1,\"a\":2}}\n</tool_call>",
        R"(<tool_call>{"name":"weather","arguments":{"z":1,"a":2}})"}) {
    auto calls = read_calls(text, kTools);
    ASSERT_EQ(calls.size(), 1u) << text;
    EXPECT_EQ(calls[0].name, "weather");
    EXPECT_EQ(calls[0].arguments, R"({"z":1,"a":2})");
    EXPECT_THAT(calls[0].id, testing::StartsWith("call_"));
  }
  EXPECT_EQ(read_calls(R"([{"name":"time"},{"name":"time","arguments":{}}])", kTools).size(), 2u);
  EXPECT_EQ(
      read_calls("<tool_call>{\"name\":\"time\"}</tool_call>\n<tool_call>{\"name\":\"time\"}</tool_call>",
                 kTools)
          .size(),
      2u);
  for (const char* text : {"", "hello", R"({"name":"rm"})", R"({"name":"time","arguments":"x"})", "[]", "{",
                           R"([{"name":"time"},3])", R"(<tool_call>{"name":"time"}</tool_call> bye)",
                           R"({"name":"time"} bye)"}) {
    EXPECT_TRUE(read_calls(text, kTools).empty()) << text;
  }
}

/// The same whatever the pieces the text comes in.
TEST(ToolCalls, TellsCallsFromTextWhileItComes) {
  struct Case {
    std::string text, out;
    size_t calls;
  };
  for (const Case& c : {Case{"Hello <b>you</b>", "Hello <b>you</b>", 0},
                        {"I look.<tool_call>{\"name\":\"time\"}</tool_call>", "I look.", 1},
                        {"a < b <tool", "a < b <tool", 0},
                        {R"( {"name":"time","arguments":{}})", "", 1},
                        {R"({"nome":"time"})", R"({"nome":"time"})", 0},
                        {"<tool_call>what?", "<tool_call>what?", 0},
                        {" ", " ", 0}}) {
    for (size_t size = 1; size <= c.text.size(); ++size) {
      ToolCallReader reader(kTools);
      std::string out;
      for (size_t i = 0; i < c.text.size(); i += size)
        out += reader.push(std::string_view(c.text).substr(i, size));
      auto end = reader.finish();
      EXPECT_EQ(out + end.text, c.out);
      EXPECT_EQ(end.calls.size(), c.calls) << c.text;
    }
  }
}

TEST(ToolCalls, PutsToolsCallsAndResultsBeforeTheModel) {
  Request request;
  request.tools = kTools;
  request.messages = {{.role = "system", .content = "Be kind."},
                      {.role = "user", .content = "hi"},
                      {.role = "assistant", .tool_calls = {{"c1", "time", R"({"zone":"UTC"})"}}},
                      {.role = "tool", .content = "noon", .tool_call_id = "c1"}};
  auto turns = with_tools_as_text(request);
  ASSERT_EQ(turns.size(), 4u);
  EXPECT_THAT(turns[0].content, testing::StartsWith("Be kind.\n\n"));
  EXPECT_THAT(turns[0].content,
              HasSubstr(R"({"name":"weather","description":"Of a city","parameters":{"type")"));
  EXPECT_EQ(turns[2].content, R"({"name":"time","arguments":{"zone":"UTC"}})");
  EXPECT_EQ(turns[3].role, "user");
  EXPECT_THAT(turns[3].content, HasSubstr("noon"));
  request.tool_choice.mode = ToolChoice::Mode::kNone;
  EXPECT_EQ(with_tools_as_text(request)[0].content, "Be kind.");
  request.tool_choice = {ToolChoice::Mode::kFunction, "time"};
  EXPECT_THAT(with_tools_as_text(request)[0].content, testing::Not(HasSubstr("weather")));
}

TEST(ToolCalls, TheSchemaOfACall) {
  auto schema = calls_schema(kTools, {ToolChoice::Mode::kFunction, "weather"}, false);
  ASSERT_TRUE(schema);
  json one = json::parse(*schema);
  EXPECT_EQ(one["properties"]["name"]["const"], "weather");
  EXPECT_EQ(one["properties"]["arguments"]["type"], "object");
  schema = calls_schema(kTools, {ToolChoice::Mode::kRequired}, true);
  ASSERT_TRUE(schema);
  json several = json::parse(*schema);
  EXPECT_EQ(several["anyOf"][0]["anyOf"].size(), 2u);
  EXPECT_EQ(several["anyOf"][1]["minItems"], 1);
  EXPECT_FALSE(calls_schema({{"x", "", "[]"}}, {}, false));
}

}  // namespace
}  // namespace bantam::chat
