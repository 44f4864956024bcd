#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/stream_for_test.h"
#include "server/text_reply.h"
#include "server/text_request.h"

namespace bantam::server {
namespace {

using nlohmann::json;

TEST(TextRequest, PromptsTimesAnswers) {
  auto r = read_text_request(
      R"({"model":"m","prompt":["a","b"],"n":2,"logprobs":0,"max_tokens":3,"best_of":2})", {});
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats.size(), 4u);
  EXPECT_EQ(r->chats[0].prompt, "a");
  EXPECT_EQ(r->chats[1].prompt, "a");
  EXPECT_EQ(r->chats[3].prompt, "b");
  EXPECT_TRUE(r->chats[3].messages.empty());
  EXPECT_TRUE(r->chats[0].logprobs);
  EXPECT_EQ(r->chats[0].max_tokens, 3u);
  EXPECT_EQ(read_text_request(R"({"model":"m","prompt":"a"})", {})->chats[0].max_tokens, 16u);
}

TEST(TextRequest, PromptsOfTokenIds) {
  auto r = read_text_request(R"({"model":"m","prompt":[[1,2],[3]],"n":2})", {});
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->chats.size(), 4u);
  using Ids = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(r->prompt_ids, (Ids{{1, 2}, {1, 2}, {3}, {3}}));
  EXPECT_EQ(read_text_request(R"({"model":"m","prompt":[7,8]})", {})->prompt_ids, (Ids{{7, 8}}));
}

TEST(TextRequest, RefusesByName) {
  for (auto [members, param] :
       {std::pair(R"("prompt":"a","suffix":"b")", "suffix"),
        std::pair(R"("prompt":"a","best_of":2)", "best_of"), std::pair(R"("prompt":[1,"a"])", "prompt[1]"),
        std::pair(R"("prompt":[[1],[2.5]])", "prompt[1][0]"),
        std::pair(R"("prompt":[1],"echo":true)", "echo"), std::pair(R"("prompt":"")", "prompt"),
        std::pair(R"("n":1)", "prompt"), std::pair(R"("prompt":["a","b","c"],"n":3)", "n"),
        std::pair(R"("prompt":"a","echo":true,"logprobs":1)", "echo"),
        std::pair(R"("prompt":"a","messages":[])", "messages"),
        std::pair(R"("prompt":"a","logprobs":6)", "logprobs")}) {
    auto r = read_text_request(std::string(R"({"model":"m",)") + members + "}", {});
    ASSERT_FALSE(r) << members;
    EXPECT_EQ(r.error().param, param) << members;
  }
}

TEST(TextReply, WholeAndStreamedWithEcho) {
  auto format = make_text_reply({"m", true, true, {"Once "}});
  chat::Reply reply = reply_of("ab");
  reply.logprobs = {{"a", -1, {{"a", -1}, {"x", -2}}}, {"b", -3}};
  json b = json::parse(format->whole({&reply, 1}));
  EXPECT_EQ(b["object"], "text_completion");
  EXPECT_EQ(b["choices"][0]["text"], "Once ab");
  EXPECT_EQ(b["choices"][0]["logprobs"]["tokens"], json({"a", "b"}));
  EXPECT_EQ(b["choices"][0]["logprobs"]["token_logprobs"], json({-1.0, -3.0}));
  EXPECT_EQ(b["choices"][0]["logprobs"]["top_logprobs"][0]["x"], -2.0);
  EXPECT_EQ(b["choices"][0]["logprobs"]["text_offset"], json({0, 1}));
  auto again = make_text_reply({"m", true, false, {"Once "}});
  auto events = stream(*again, {chat::TextDelta{"a"}, chat::TextDelta{"b"}}, reply);
  std::string text;
  for (const auto& event : events) {
    if (event.data.is_object() && !event.data["choices"].empty())
      text += event.data["choices"][0]["text"].get<std::string>();
  }
  EXPECT_EQ(text, "Once ab");
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[3].data["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[4].data["usage"]["completion_tokens"], 2);
  EXPECT_TRUE(events[5].data.is_null());
}

}  // namespace
}  // namespace bantam::server
