#include "chat/recorded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/request_for_test.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kLines =
    R"({"prompt":"hi","answer":"hello to you","prompt_tokens":10,"completion_tokens":4,"first_token":0.01,"seconds":0.03}
{"prompt":"hi","answer":"good day","cost":0.25,"confidence":0.5}

{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}],"answer":"hi"}
{"prompt":"broken","error":"overloaded"}
)";

std::shared_ptr<ChatModel> model(double pace = 0) {
  auto made = parse_recorded(kLines, "log.jsonl", {.name = "large", .prices = {1, 2}, .pace = pace});
  EXPECT_TRUE(made) << made.error().message;
  return *made;
}

Result<Reply> ask_model(ChatModel& m, Request request, std::vector<std::string>* pieces = nullptr) {
  EventSink sink;
  if (pieces) {
    sink = text_sink([&](std::string_view piece) {
      pieces->emplace_back(piece);
      return true;
    });
  }
  return wait(m.generate(request, sink));
}

TEST(Recorded, GivesTheTakesOfAPromptInTurnWithTheirCosts) {
  auto m = model();
  std::vector<std::string> pieces;
  auto first = ask_model(*m, user("hi"), &pieces);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->text, "hello to you");
  EXPECT_THAT(pieces, ElementsAre("hello", " to", " you"));
  EXPECT_DOUBLE_EQ(first->cost, (10 * 1 + 4 * 2) * 1e-6);
  auto second = ask_model(*m, user("hi"));
  EXPECT_EQ(second->text, "good day");
  EXPECT_EQ(second->cost, 0.25);
  EXPECT_EQ(second->confidence, 0.5);
  EXPECT_EQ(ask_model(*m, user("hi"))->text, "hello to you");
  Request whole = user("hi");
  whole.messages.insert(whole.messages.begin(), {"system", "be brief"});
  EXPECT_EQ(ask_model(*m, whole)->text, "hi");
  Request prompt;
  prompt.prompt = "hi";
  prompt.max_tokens = 5;
  EXPECT_THAT(ask_model(*m, prompt)->notes, ElementsAre(HasSubstr("replays a recording")));
}

TEST(Recorded, FailsAsRecordedAndOnWhatWasNot) {
  auto m = model();
  EXPECT_EQ(ask_model(*m, user("broken")).error().message, "large: overloaded");
  EXPECT_EQ(ask_model(*m, user("unknown")).error().code, Code::kNotFound);
  Request choice = user("hi");
  choice.choices = {"a", "b"};
  EXPECT_EQ(ask_model(*m, choice).error().code, Code::kUnavailable);
}

TEST(Recorded, KeepsToTheLatenciesAndTheDeadline) {
  double start = wall_seconds();
  std::vector<std::string> pieces;
  ASSERT_TRUE(ask_model(*model(1), user("hi"), &pieces));
  EXPECT_GE(wall_seconds() - start, 0.03);
  Request late = user("hi");
  late.deadline = std::chrono::steady_clock::now() + 50ms;
  auto reply = ask_model(*model(1000), late);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);
  EXPECT_LT(wall_seconds() - start, 5);
}

TEST(Recorded, SaysWhatIsWrongWithALine) {
  auto message = [](std::string_view lines) {
    auto made = parse_recorded(lines, "log.jsonl", {.name = "x"});
    return made ? "no error" : made.error().message;
  };
  EXPECT_THAT(message("\n{"), HasSubstr("log.jsonl:2"));
  EXPECT_THAT(message("[1]"), HasSubstr("log.jsonl:1: found no object"));
  EXPECT_THAT(message(R"({"answer":"x"})"), HasSubstr("expected prompt or messages"));
  EXPECT_THAT(message(R"({"prompt":"x"})"), HasSubstr("expected answer or error"));
  EXPECT_THAT(message(R"({"prompt":"x","answer":1})"), HasSubstr("answer: found 1, expected text"));
  EXPECT_THAT(message(R"({"prompt":"x","answer":"y","seconds":-1})"), HasSubstr("seconds: found -1"));
  EXPECT_THAT(message(R"({"messages":[{"role":1}],"answer":"y"})"), HasSubstr("messages: found"));
}

}  // namespace
}  // namespace bantam::chat
