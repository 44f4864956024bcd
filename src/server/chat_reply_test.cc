#include "server/chat_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/stream_for_test.h"

namespace bantam::server {
namespace {

using nlohmann::json;

TEST(ChatReply, WholeWithCallsAndLogprobs) {
  auto format = make_chat_reply({"asked", false, true});
  chat::Reply reply = reply_of("", "tool_calls");
  reply.tool_calls = {{"c1", "time", R"({"a":1})"}};
  reply.logprobs = {{"\xC3", -0.5, {{"\xC3", -0.5}, {"b", -1.5}}}};
  json b = json::parse(format->whole({&reply, 1}));
  EXPECT_EQ(b["model"], "asked");
  json message = b["choices"][0]["message"];
  EXPECT_TRUE(message["content"].is_null());
  EXPECT_EQ(
      message["tool_calls"][0],
      json::parse(R"({"id":"c1","type":"function","function":{"name":"time","arguments":"{\"a\":1}"}})"));
  EXPECT_EQ(b["choices"][0]["finish_reason"], "tool_calls");
  json token = b["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(token["logprob"], -0.5);
  EXPECT_EQ(token["bytes"], json::array({0xC3}));  // a part of a character
  EXPECT_EQ(token["top_logprobs"][1]["token"], "b");
  EXPECT_EQ(b["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
}

TEST(ChatReply, SeveralAnswersKeepTheirIndex) {
  auto format = make_chat_reply({"m", true, false});
  std::vector<chat::Reply> replies{reply_of("a"), reply_of("b", "length")};
  json whole = json::parse(format->whole(replies));
  EXPECT_EQ(whole["choices"][1]["index"], 1);
  EXPECT_EQ(whole["choices"][1]["message"]["content"], "b");
  EXPECT_EQ(whole["usage"]["completion_tokens"], 4);
  EXPECT_EQ(whole["bantam"]["answers"].size(), 2u);
  std::string bytes = format->begin();
  for (uint32_t i : {0, 1}) {
    bytes += format->event(i, chat::TextDelta{replies[i].text});
    bytes += format->finish(i, replies[i]);
  }
  bytes += format->end(replies);
  auto events = read_events(bytes);
  ASSERT_EQ(events.size(), 8u);
  for (size_t i : {0, 1}) {
    EXPECT_EQ(events[3 * i].data["choices"][0]["delta"]["role"], "assistant");
    for (size_t k : {0, 1, 2}) EXPECT_EQ(events[3 * i + k].data["choices"][0]["index"], i);
    EXPECT_EQ(events[3 * i + 2].data["choices"][0]["finish_reason"], replies[i].finish_reason);
  }
  EXPECT_EQ(events[6].data["choices"], json::array());
  EXPECT_EQ(events[6].data["usage"]["total_tokens"], 24);
  EXPECT_TRUE(events[7].data.is_null());
}

TEST(ChatReply, StreamsCallsAndVerdicts) {
  auto format = make_chat_reply({"m", false, true});
  using Kind = chat::Verdict::Kind;
  auto events = stream(*format,
                       {chat::TextDelta{"hi", {{"hi", -1}}}, chat::ToolCallDelta{0, "c1", "time", ""},
                        chat::ToolCallDelta{0, "", "", "{}"}, chat::Verdict{Kind::kRevised, "ho", "large"}},
                       reply_of("hi", "tool_calls"));
  ASSERT_EQ(events.size(), 7u);
  EXPECT_EQ(events[1].data["choices"][0]["logprobs"]["content"][0]["token"], "hi");
  json first = events[2].data["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(
      first,
      json::parse(R"({"index":0,"id":"c1","type":"function","function":{"name":"time","arguments":""}})"));
  json next = events[3].data["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(next, json::parse(R"({"index":0,"function":{"arguments":"{}"}})"));
  EXPECT_EQ(events[4].data["choices"], json::array());
  EXPECT_EQ(events[4].data["bantam"],
            json::parse(R"({"index":0,"verdict":"revised","text":"ho","by":"large"})"));
  EXPECT_EQ(events[5].data["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(events[5].data["bantam"]["answered_by"], "m");
}

TEST(ChatReply, ABrokenStreamHasNoEnd) {
  auto format = make_chat_reply({"m", false, false});
  std::string bytes = format->begin() + format->event(0, chat::TextDelta{"hi"});
  bytes += format->failure(api_error(502, "gone"));
  auto events = read_events(bytes);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2].data["error"]["message"], "gone");
}

}  // namespace
}  // namespace bantam::server
