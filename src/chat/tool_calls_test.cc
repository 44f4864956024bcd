#include "chat/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bantam::chat {
namespace {

using testing::HasSubstr;

const std::vector<Tool> kTools{{"weather", "Of a city", R"({"type":"object","properties":{"z":{},"a":{}}})"},
                               {"time"}};

using Mode = CallReader::Mode;

text::CallForm mistral() {
  const std::string id = ", \"id\": \"" + std::string(9, text::kIdSlot) + "\"}";
  return {.open = "[CALLS][{\"name\": \"",
          .after_name = "\", \"arguments\": ",
          .between = id + ", {\"name\": \"",
          .close = id + "]",
          .marker = "[CALLS]"};
}
text::CallForm llama() {
  return {.open = "{\"name\": \"",
          .after_name = "\", \"parameters\": ",
          .close = "}",
          .marker = "{\"name\": \"",
          .anywhere = false};
}

struct Heard {
  std::string text;
  std::vector<ToolCall> calls;
};

/// What the events say; names and ids must come first and once.
void hear(std::vector<Event> events, Heard& out) {
  for (Event& event : events) {
    if (auto* text = std::get_if<TextDelta>(&event)) {
      EXPECT_TRUE(out.calls.empty());
      out.text += text->text;
      continue;
    }
    auto& call = std::get<ToolCallDelta>(event);
    if (!call.name.empty()) {
      EXPECT_EQ(call.index, out.calls.size());
      EXPECT_THAT(call.id, testing::StartsWith("call_"));
      out.calls.push_back({call.id, call.name});
    }
    ASSERT_EQ(call.index + 1, out.calls.size());
    out.calls.back().arguments += call.arguments;
  }
}

/// The same whatever the pieces the text comes in.
TEST(ToolCalls, TellsCallsFromTextWhileItComes) {
  struct Case {
    text::CallForm form;
    Mode mode;
    std::string written, text, calls;
  };
  const std::string time = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";
  for (
      const Case& c : {
          Case{stated_form(), Mode::kAfterText, "Hello <b>you</b> ", "Hello <b>you</b> ", ""},
          {stated_form(), Mode::kAfterText, "I look.\n" + time, "I look.", "time{}"},
          {stated_form(), Mode::kAfterText, "a < b <tool", "a < b <tool", ""},
          {stated_form(), Mode::kRequired, time + "\n" + time, "", "time{}time{}"},
          {stated_form(), Mode::kInsteadOfText, R"({"name": "x"})", R"({"name": "x"})", ""},
          {stated_form(), Mode::kInsteadOfText, time, "", "time{}"},
          {mistral(), Mode::kAfterText,
           R"(So [it is] [CALLS][{"name": "weather", "arguments": {"q}": "\"}{"}, "id": "abcdefgh1"}])",
           "So [it is]", R"(weather{"q}": "\"}{"})"},
          {mistral(), Mode::kRequired,
           R"([CALLS][{"name": "time", "arguments": {"a":[{}]}, "id": "abcdefgh1"}, {"name": "time2", "arguments": {}, "id")",
           "", R"(time{"a":[{}]}time2{})"},
          {llama(), Mode::kAfterText, R"({"name": "time2", "parameters": {"a": 1}})", "", R"(time2{"a": 1})"},
          {llama(), Mode::kAfterText, R"({"nome": 1} {"name": "time)", R"({"nome": 1} {"name": "time)", ""},
          {llama(), Mode::kInsteadOfText, R"({"name": "time", "age": 3})", R"({"name": "time", "age": 3})",
           ""},
          // Cut by max_tokens.
          {llama(), Mode::kAfterText, R"({"name": "time2", "parameters": {"a": )", "", R"(time2{"a": )"},
          {stated_form(), Mode::kRequired, "<tool_call>\n{\"name\": \"ti", "", ""},
      }) {
    for (size_t size = 1; size <= c.written.size(); ++size) {
      CallReader reader(c.form, {"time", "time2", "weather"}, c.mode);
      Heard heard;
      for (size_t i = 0; i < c.written.size(); i += size)
        hear(reader.push(std::string_view(c.written).substr(i, size)), heard);
      hear(reader.finish(), heard);
      std::string calls;
      for (const ToolCall& call : heard.calls) calls += call.name + call.arguments;
      EXPECT_EQ(heard.text, c.text);
      EXPECT_EQ(calls, c.calls);
      EXPECT_EQ(reader.text(), heard.text);
      ASSERT_EQ(reader.calls().size(), heard.calls.size());
      for (size_t i = 0; i < heard.calls.size(); ++i) {
        EXPECT_EQ(reader.calls()[i].arguments, heard.calls[i].arguments);
        EXPECT_EQ(reader.calls()[i].id, heard.calls[i].id);
      }
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
  EXPECT_THAT(turns[2].content, HasSubstr(R"({"name": "time", "arguments": {"zone":"UTC"}})"));
  EXPECT_EQ(turns[3].role, "user");
  EXPECT_THAT(turns[3].content, HasSubstr("noon"));
  request.tool_choice.mode = ToolChoice::Mode::kNone;
  EXPECT_EQ(with_tools_as_text(request)[0].content, "Be kind.");
  request.tool_choice = {ToolChoice::Mode::kFunction, "time"};
  EXPECT_THAT(with_tools_as_text(request)[0].content, testing::Not(HasSubstr("weather")));
}

TEST(ToolCalls, NoTwoTurnsOfTheUserFollowEachOther) {
  Request request;
  request.messages = {
      {.role = "user", .content = "hi"},
      {.role = "assistant", .content = "I look.", .tool_calls = {{"c1", "time", "{}"}, {"c2", "time"}}},
      {.role = "tool", .content = "noon", .tool_call_id = "c1"},
      {.role = "tool", .content = "night", .tool_call_id = "c2"},
      {.role = "user", .content = "So?"}};
  auto turns = with_tools_as_text(request);
  ASSERT_EQ(turns.size(), 3u);
  EXPECT_EQ(turns[1].content,
            "I look.\n<tool_call>\n{\"name\": \"time\", \"arguments\": "
            "{}}\n</tool_call>\n<tool_call>\n{\"name\": \"time\", "
            "\"arguments\": {}}\n</tool_call>");
  EXPECT_THAT(turns[2].content,
              testing::AllOf(HasSubstr("c1:\nnoon"), HasSubstr("c2:\nnight"), testing::EndsWith("\n\nSo?")));
}

}  // namespace
}  // namespace bantam::chat
