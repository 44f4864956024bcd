#include "chat/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/usage.h"
#include "chat/local_for_test.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(LocalTask, AnswersWithALabelAndItsProbability) {
  auto model = make_local(engine({"refund", "login", "other"}),
                          {.name = "small", .prices = {1e6, 1e6}, .sessions = 1});
  ASSERT_TRUE(model);
  ASSERT_NE((*model)->task(), nullptr);
  EXPECT_THAT((*model)->task()->labels, ElementsAre("refund", "login", "other"));
  std::vector<std::string> streamed;
  auto reply = answer(**model, user("I want my money back"), [&](std::string_view t) {
    streamed.emplace_back(t);
    return true;
  });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->text, AnyOf("refund", "login", "other"));
  EXPECT_THAT(streamed, ElementsAre(reply->text));
  ASSERT_TRUE(reply->confidence);
  EXPECT_GT(*reply->confidence, 1.0 / 3 - 1e-9);
  EXPECT_LE(*reply->confidence, 1);
  EXPECT_EQ(reply->answered_by, "small");
  EXPECT_GT(reply->usage.prompt_tokens, 1u);
  EXPECT_DOUBLE_EQ(reply->cost,
                   static_cast<double>(reply->usage.prompt_tokens + reply->usage.completion_tokens));
  EXPECT_TRUE(reply->notes.empty());
}

TEST(LocalTask, AddsWhatTheNgramPartSays) {
  model::NgramWeights certain{.shape = {.buckets = 8}, .idf = std::vector<float>(8, 1.0F), .scale = 100};
  certain.values.assign(8 * 3, 0.0F);
  certain.bias = {-1, 0, 1};  // in the labels' order, whatever the text
  auto model = *make_local(runtime::random_engine({.labels = {"refund", "login", "other"}, .ngrams = certain}),
                           {.name = "small"});
  auto reply = answer(*model, user("anything"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "other");
  Request r = user("anything");
  r.choices = {"login", "refund"};
  EXPECT_EQ(answer(*model, r)->text, "login");
  r.choices = {"refund"};
  EXPECT_EQ(answer(*model, r)->text, "refund");
}

TEST(LocalTask, SaysWhatHadNoEffectAndRefusesWhatCannotHold) {
  auto model = *make_local(engine({"refund", "login"}), {.name = "small"});
  Request r;
  r.messages = {{"system", "be brief"}, {"user", "first"}, {"assistant", "login"}, {"user", "second"}};
  r.sampling.temperature = 0.5F;
  auto reply = answer(*model, r);
  ASSERT_TRUE(reply);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("last user message"), HasSubstr("sampling")));
  EXPECT_EQ(reply->text, answer(*model, user("second"))->text);
  r = user("x");
  r.choices = {"login"};
  EXPECT_EQ(answer(*model, r)->text, "login");
  r.choices = {"payment"};
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("guided_choice: found 'payment'"));
  r = user("x");
  r.stop = {"a"};
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("stop: "));
  r = user("x");
  r.max_tokens = 0;
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("max_tokens: "));
  r.messages = {{"system", "x"}};
  EXPECT_EQ(answer(*model, r).error().code, Code::kInvalidArgument);
  EXPECT_EQ(answer(*model, user(std::string(5000, 'x'))).error().code, Code::kLimit);
}

TEST(LocalChat, ContinuesAndChoosesWithoutATask) {
  auto model = *make_local(engine({}), {.name = "plain"});
  EXPECT_EQ(model->task(), nullptr);
  Request r = user("the quick");
  r.max_tokens = 5;
  std::string streamed;
  auto reply = answer(*model, r, [&](std::string_view t) {
    streamed += t;
    return true;
  });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(streamed, reply->text);
  EXPECT_LE(reply->usage.completion_tokens, 5u);
  EXPECT_FALSE(reply->confidence);
  r.choices = {"brown fox", "dog"};
  r.max_tokens.reset();
  reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->text, AnyOf("brown fox", "dog"));
  EXPECT_TRUE(reply->confidence);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("no chat template")));
}

TEST(LocalChat, StopsForTheCallerTheTokenAndTheDeadline) {
  auto model = *make_local(engine({}, 1U << 16), {.name = "plain", .sessions = 1});
  Request r = user("the quick");
  r.sampling.temperature = 1;
  r.sampling.seed = 5;
  int pieces = 0;
  auto stopped = answer(*model, r, [&](std::string_view) { return ++pieces < 1; });
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_EQ(pieces, 1);
  std::stop_source stop;
  stop.request_stop();
  r.cancel = stop.get_token();
  EXPECT_EQ(answer(*model, r).error().code, Code::kCancelled);
  // A prompt that takes long to read keeps the only session busy past the deadline; the second call waits for
  // it in vain.
  r = user(std::string(60'000, 'x'));
  r.deadline = std::chrono::steady_clock::now() + 50ms;
  double start = wall_seconds();
  std::jthread other([&] {
    auto waited = answer(*model, r);
    ASSERT_FALSE(waited);
    EXPECT_THAT(waited.error().message, HasSubstr("deadline"));
  });
  auto slow = answer(*model, r);
  ASSERT_FALSE(slow);
  EXPECT_THAT(slow.error().message, HasSubstr("deadline"));
  EXPECT_LT(wall_seconds() - start, 5);
}

TEST(LocalChat, RefusesWhenAsManyWaitAsMay) {
  auto model = *make_local(engine({}, 1U << 16), {.name = "plain", .sessions = 1, .max_waiting = 1});
  Request r = user(std::string(60'000, 'x'));
  std::stop_source stop;
  r.cancel = stop.get_token();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { EXPECT_FALSE(answer(*model, r)); });
  while (model->load().running + model->load().waiting < 2) std::this_thread::sleep_for(1ms);
  auto refused = answer(*model, user("x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  stop.request_stop();
}

TEST(LocalChat, RefusesWhatTheEngineDoesNotDo) {
  auto model = *make_local(engine({}), {.name = "plain"});
  auto code = [&](auto change) {
    Request r = user("x");
    change(r);
    return answer(*model, r).error().message;
  };
  EXPECT_THAT(code([](Request& r) {
                r.tools = {{"f"}};
                r.choices = {"a"};
              }),
              StartsWith("tools: "));
  EXPECT_THAT(code([](Request& r) {
                r.tools = {{"f", "", R"({"contains": {}})", /*strict=*/true}};
              }),
              AllOf(StartsWith("tools: "), HasSubstr("'f'"), HasSubstr("contains")));
  EXPECT_THAT(code([](Request& r) {
                r.tools = {{"f"}};
                r.tool_choice = {ToolChoice::Mode::kFunction, "g"};
              }),
              StartsWith("tool_choice: "));
  EXPECT_THAT(code([](Request& r) {
                r.format.kind = ResponseFormat::Kind::kJsonSchema;
                r.format.schema = R"({"contains": {}})";
              }),
              AllOf(StartsWith("response_format: "), HasSubstr("contains")));
  EXPECT_THAT(code([](Request& r) { r.sampling.logit_bias = {{300, 1.0F}}; }), StartsWith("logit_bias: "));
  auto task = *make_local(engine({"refund", "login"}), {.name = "task"});
  Request r = user("x");
  r.logprobs = true;
  EXPECT_THAT(answer(*task, r).error().message, StartsWith("logprobs: "));
  r.logprobs = false;
  r.tools = {{"f"}};
  EXPECT_THAT(answer(*task, r).error().message, StartsWith("tools: "));
}

TEST(LocalChat, KeepsToAFormat) {
  auto model = *make_local(engine({}, 2048), {.name = "plain"});
  Request r = user("the quick");
  r.format.kind = ResponseFormat::Kind::kJsonSchema;
  r.format.schema =
      R"({"type":"object","properties":{"answer":{"enum":["yes","no"]},"n":{"type":"integer","minimum":1,
      "maximum":5}},"required":["answer","n"],"additionalProperties":false,"x-note":1})";
  for (uint64_t seed = 0; seed < 10; ++seed) {
    r.sampling.temperature = 1.0F;
    r.sampling.seed = seed;
    r.max_tokens = 400;
    std::string streamed;
    auto reply = answer(*model, r, [&](std::string_view t) {
      streamed += t;
      return true;
    });
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(streamed, reply->text);
    EXPECT_THAT(reply->notes, Contains(HasSubstr("x-note")));
    if (reply->finish_reason == "length") continue;
    EXPECT_THAT(reply->text, AllOf(HasSubstr("\"answer\""), HasSubstr("\"n\""), StartsWith("{")));
    EXPECT_EQ(reply->text.back(), '}');
  }
}

TEST(LocalChat, TellsLogProbabilitiesWithTheText) {
  auto model = *make_local(engine({}), {.name = "plain"});
  Request r = user("the quick");
  r.max_tokens = 8;
  r.logprobs = true;
  r.top_logprobs = 3;
  std::vector<TokenLogprob> streamed;
  auto reply = wait(model->generate(r, [&](Event event) -> Awaitable<bool> {
    if (auto* delta = std::get_if<TextDelta>(&event)) {
      streamed.insert(streamed.end(), delta->logprobs.begin(), delta->logprobs.end());
    }
    co_return true;
  }));
  ASSERT_TRUE(reply) << reply.error().message;
  ASSERT_EQ(reply->logprobs.size(), reply->usage.completion_tokens);
  for (const auto& token : reply->logprobs) {
    EXPECT_LE(token.logprob, 0);
    ASSERT_EQ(token.top.size(), 3U);
    EXPECT_GE(token.top[0].second, token.top[1].second);
    EXPECT_DOUBLE_EQ(token.top[0].second, token.logprob);  // greedy
  }
  EXPECT_LE(streamed.size(), reply->logprobs.size());
}

TEST(Local, EmbedsTexts) {
  auto model = *make_local(engine({}), {.name = "plain", .prices = {1e6, 0}});
  EmbedRequest r;
  r.inputs = {"the quick brown fox", "the quick brown fox", "lazy"};
  auto found = wait(model->embed(r));
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->vectors.size(), 3U);
  EXPECT_EQ(found->vectors[0], found->vectors[1]);
  EXPECT_NE(found->vectors[0], found->vectors[2]);
  EXPECT_EQ(found->vectors[0].size(), 32U);
  EXPECT_DOUBLE_EQ(found->cost, static_cast<double>(found->usage.prompt_tokens));
  r.dimensions = 8;
  found = wait(model->embed(r));
  ASSERT_TRUE(found);
  double squares = 0;
  for (float x : found->vectors[0]) squares += double{x} * x;
  EXPECT_EQ(found->vectors[0].size(), 8U);
  EXPECT_NEAR(squares, 1, 1e-5);
  r.dimensions = 33;
  EXPECT_THAT(wait(model->embed(r)).error().message, StartsWith("dimensions: "));
  r.inputs = {std::string(5000, 'x')};
  EXPECT_EQ(wait(model->embed(r)).error().code, Code::kLimit);
}

const std::vector<Tool> kOfferedTools{
    {"add", "", R"({"type":"object","properties":{"a":{"type":"integer","maximum":99,"minimum":0}},
    "required":["a"],"additionalProperties":false})"},
    {"stop"}};

/// The turns of calls are a control token, then a list.
constexpr const char* kTemplate =
    "{% if tools %}Tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ m.role }}: "
    "{% if m.tool_calls %}<|answer|>[{% for c in m.tool_calls %}"
    R"({"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}})"
    "{% if not loop.last %}, {% endif %}{% endfor %}]"
    "{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% "
    "endif %}";

TEST(LocalTools, CallsAreValidInEveryMode) {
  for (const char* chat_template : {"", kTemplate}) {
    auto model = *make_local(engine({}, 2048, chat_template), {.name = "plain"});
    for (uint64_t seed = 0; seed < 12; ++seed) {
      Request r = user("the quick");
      r.tools = kOfferedTools;
      r.sampling.temperature = 1.0F;
      r.sampling.seed = seed;
      r.max_tokens = 300;
      r.parallel_tool_calls = seed % 2 == 0;
      r.tool_choice.mode = ToolChoice::Mode::kRequired;
      if (seed % 3 == 0) r.tool_choice = {ToolChoice::Mode::kFunction, "add"};
      std::vector<ToolCall> streamed;
      auto reply = wait(model->generate(r, [&](Event event) -> Awaitable<bool> {
        auto& call = std::get<ToolCallDelta>(event);
        if (!call.name.empty()) streamed.push_back({call.id, call.name});
        streamed[call.index].arguments += call.arguments;
        co_return true;
      }));
      ASSERT_TRUE(reply) << reply.error().message;
      EXPECT_EQ(reply->text, "");
      ASSERT_FALSE(reply->tool_calls.empty());
      ASSERT_EQ(streamed.size(), reply->tool_calls.size());
      for (size_t i = 0; i < streamed.size(); ++i) {
        EXPECT_EQ(streamed[i].id, reply->tool_calls[i].id);
        EXPECT_EQ(streamed[i].arguments, reply->tool_calls[i].arguments);
      }
      if (reply->finish_reason == "length") continue;
      EXPECT_EQ(reply->finish_reason, "tool_calls");
      EXPECT_TRUE(r.parallel_tool_calls || streamed.size() == 1);
      for (const ToolCall& call : reply->tool_calls) {
        EXPECT_TRUE(seed % 3 != 0 || call.name == "add") << call.name;
        std::string packed = call.arguments;
        std::erase_if(packed, [](char c) { return c == ' ' || c == '\n' || c == '\t'; });
        EXPECT_THAT(packed, call.name == "add" ? testing::ContainsRegex("^\\{\"a\":[0-9]+\\}$")
                                               : testing::ContainsRegex("^\\{\\}$"));
      }
    }
  }
}

TEST(LocalTools, AutoLeavesTextAsItIsAndNoneForbidsCalls) {
  auto model = *make_local(engine({}, 512, kTemplate), {.name = "plain"});
  Request r = user("the quick");
  r.tools = kOfferedTools;
  r.max_tokens = 30;
  r.logprobs = true;
  std::string streamed;
  auto reply = answer(*model, r, [&](std::string_view t) {
    streamed += t;
    return true;
  });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(streamed, reply->text);
  EXPECT_TRUE(reply->tool_calls.empty());  // random weights
  EXPECT_EQ(reply->logprobs.size(), reply->usage.completion_tokens);
  r.tool_choice.mode = ToolChoice::Mode::kNone;
  auto none = answer(*model, r);
  ASSERT_TRUE(none);
  EXPECT_LT(none->usage.prompt_tokens, reply->usage.prompt_tokens)
      << "tools that may not be called are not told";
}

TEST(LocalTools, EarlierCallsArePartOfThePrompt) {
  for (const char* chat_template : {"", kTemplate}) {
    auto model = *make_local(engine({}, 2048, chat_template), {.name = "plain"});
    TokenizeRequest r;
    r.prompt = user("What is 1 + 2?");
    r.prompt.tools = kOfferedTools;
    r.prompt.messages.push_back({.role = "assistant", .tool_calls = {{"c1", "add", R"({"a":12})"}}});
    r.prompt.messages.push_back({.role = "tool", .content = "three", .tool_call_id = "c1"});
    auto tokens = wait(model->tokenize(r));
    ASSERT_TRUE(tokens) << tokens.error().message;
    std::string text;
    for (const std::string& piece : tokens->pieces) text += piece;
    EXPECT_THAT(text,
                AllOf(HasSubstr(R"("add", "arguments": {"a":)"), HasSubstr("three"), HasSubstr("maximum")));
    EXPECT_EQ(text.find("<tool_call>") == std::string::npos, *chat_template != '\0') << text;
  }
}

/// A template that refuses two calls in a turn: the stated form takes its place, and is said to.
TEST(LocalTools, WhatTheTemplateRefusesIsToldInText) {
  std::string one_call = kTemplate;
  const std::string_view more = "{% if not loop.last %}, {% endif %}";
  one_call.replace(one_call.find(more), more.size(),
                   "{% if not loop.last %}{{ raise_exception('one call') }}{% endif %}");
  auto model = *make_local(engine({}, 2048, one_call), {.name = "plain"});
  Request r = user("What?");
  r.tools = kOfferedTools;
  r.max_tokens = 4;
  auto reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->notes, testing::Not(Contains(HasSubstr("told to the model in text"))));
  r.messages.push_back({.role = "assistant", .tool_calls = {{"c1", "stop", "{}"}, {"c2", "stop", "{}"}}});
  r.messages.push_back({.role = "tool", .content = "x", .tool_call_id = "c1"});
  r.messages.push_back({.role = "tool", .content = "y", .tool_call_id = "c2"});
  reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->notes, Contains(HasSubstr("one call")));
}

TEST(LocalTools, ASchemaThatIsNotImplementedIsSaidWhereItIsNotStrict) {
  auto model = *make_local(engine({}, 2048), {.name = "plain"});
  Request r = user("x");
  r.tools = {{"f", "", R"({"type":"object","properties":{"a":{"type":"array","contains":{}}}})"}};
  r.tool_choice.mode = ToolChoice::Mode::kRequired;
  r.max_tokens = 40;
  auto reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->notes, Contains(AllOf(HasSubstr("'f'"), HasSubstr("contains"))));
  r.tools[0].parameters = R"({"type":"string"})";
  EXPECT_THAT(answer(*model, r).error().message, AllOf(StartsWith("tools: "), HasSubstr("type")));
}

TEST(LocalTools, AFormatOrCalls) {
  auto model = *make_local(engine({}, 2048), {.name = "plain"});
  Request r = user("x");
  r.tools = kOfferedTools;
  r.format.kind = ResponseFormat::Kind::kJsonSchema;
  r.format.schema = R"({"enum": ["yes", "no"]})";
  r.max_tokens = 100;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    r.sampling.temperature = 2.0F;
    r.sampling.seed = seed;
    auto reply = answer(*model, r);
    ASSERT_TRUE(reply) << reply.error().message;
    if (reply->tool_calls.empty() && reply->finish_reason == "stop") {
      EXPECT_THAT(reply->text, AnyOf("\"yes\"", "\"no\""));
    } else {
      EXPECT_EQ(reply->text, "");
    }
  }
}

TEST(LocalChat, GivesLogProbabilitiesThatSpellTheText) {
  auto model = *make_local(engine({}), {.name = "plain"});
  Request r = user("Once");
  r.max_tokens = 6;
  r.logprobs = true;
  r.top_logprobs = 2;
  auto reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  std::string text;
  for (const TokenLogprob& token : reply->logprobs) {
    text += token.text;
    EXPECT_LE(token.logprob, 0);
    ASSERT_EQ(token.top.size(), 2u);
    EXPECT_GE(token.top[0].second, token.logprob) << "greedy: none is likelier";
  }
  EXPECT_EQ(reply->logprobs.size(), reply->usage.completion_tokens);
  EXPECT_TRUE(text.starts_with(reply->text) || reply->text.find("\xEF\xBF\xBD") != std::string::npos) << text;
}

TEST(Local, RunsManyCallsAtOnceWithTheSameAnswers) {
  auto model = *make_local(engine({"refund", "login", "other"}), {.name = "small", .sessions = 3});
  std::vector<std::string> expected;
  for (int i = 0; i < 8; ++i) expected.push_back(answer(*model, user("text " + std::to_string(i)))->text);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 8; ++i)
        EXPECT_EQ(answer(*model, user("text " + std::to_string(i)))->text, expected[static_cast<size_t>(i)]);
    });
  }
}

}  // namespace
}  // namespace bantam::chat
