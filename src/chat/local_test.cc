#include "chat/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/local_format.h"
#include "model/random_model.h"
#include "net/http.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::shared_ptr<const runtime::Engine> engine(const std::vector<std::string>& labels,
                                              uint32_t context = 512) {
  auto path = (std::filesystem::temp_directory_path() / net::random_id("bantam_local_")).string() + ".gguf";
  model::Config config;
  config.vocab_size = 300;
  config.context_length = context;
  config.dim = 32;
  config.layers = 1;
  config.heads = config.kv_heads = 2;
  config.head_dim = 16;
  config.ffn_dim = 32;
  config.tied_head = true;
  auto written = model::write_random_model(path, config, tensor::DType::kF32, 3, labels);
  EXPECT_TRUE(written) << written.error().message;
  auto loaded = runtime::Engine::load(path, {.threads = 1, .context_length = context});
  EXPECT_TRUE(loaded) << loaded.error().message;
  std::filesystem::remove(path);  // the map stays
  return *loaded;
}

Request ask(std::string text) {
  Request r;
  r.messages = {{"user", std::move(text)}};
  return r;
}

/// The answer, awaited on this thread.
Result<Reply> answer(ChatModel& model, const Request& request,
                     std::function<bool(std::string_view)> sink = {}) {
  return wait(model.generate(request, text_sink(std::move(sink))));
}

TEST(LocalTask, AnswersWithALabelAndItsProbability) {
  auto model = make_local(engine({"refund", "login", "other"}),
                          {.name = "small", .prices = {1e6, 1e6}, .sessions = 1});
  ASSERT_TRUE(model);
  ASSERT_NE((*model)->task(), nullptr);
  EXPECT_THAT((*model)->task()->labels, ElementsAre("refund", "login", "other"));
  std::vector<std::string> streamed;
  auto reply = answer(**model, ask("I want my money back"), [&](std::string_view t) {
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

TEST(LocalTask, SaysWhatHadNoEffectAndRefusesWhatCannotHold) {
  auto model = *make_local(engine({"refund", "login"}), {.name = "small"});
  Request r;
  r.messages = {{"system", "be brief"}, {"user", "first"}, {"assistant", "login"}, {"user", "second"}};
  r.sampling.temperature = 0.5F;
  auto reply = answer(*model, r);
  ASSERT_TRUE(reply);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("last user message"), HasSubstr("sampling")));
  EXPECT_EQ(reply->text, answer(*model, ask("second"))->text);
  r = ask("x");
  r.choices = {"login"};
  EXPECT_EQ(answer(*model, r)->text, "login");
  r.choices = {"payment"};
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("guided_choice: found 'payment'"));
  r = ask("x");
  r.stop = {"a"};
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("stop: "));
  r = ask("x");
  r.max_tokens = 0;
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("max_tokens: "));
  r.messages = {{"system", "x"}};
  EXPECT_EQ(answer(*model, r).error().code, Code::kInvalidArgument);
  EXPECT_EQ(answer(*model, ask(std::string(5000, 'x'))).error().code, Code::kLimit);
}

TEST(LocalChat, ContinuesAndChoosesWithoutATask) {
  auto model = *make_local(engine({}), {.name = "plain"});
  EXPECT_EQ(model->task(), nullptr);
  Request r = ask("the quick");
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
  Request r = ask("the quick");
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
  r = ask(std::string(60'000, 'x'));
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
  Request r = ask(std::string(60'000, 'x'));
  std::stop_source stop;
  r.cancel = stop.get_token();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { EXPECT_FALSE(answer(*model, r)); });
  while (model->load().running + model->load().waiting < 2) std::this_thread::sleep_for(1ms);
  auto refused = answer(*model, ask("x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  stop.request_stop();
}

TEST(LocalChat, RefusesWhatTheEngineDoesNotDo) {
  auto model = *make_local(engine({}), {.name = "plain"});
  auto code = [&](auto change) {
    Request r = ask("x");
    change(r);
    return answer(*model, r).error().message;
  };
  EXPECT_THAT(code([](Request& r) { r.tools = {{"f"}}; }), StartsWith("tools: "));
  EXPECT_THAT(code([](Request& r) {
                r.format.kind = ResponseFormat::Kind::kJsonSchema;
                r.format.schema = R"({"contains": {}})";
              }),
              AllOf(StartsWith("response_format: "), HasSubstr("contains")));
  EXPECT_THAT(code([](Request& r) { r.sampling.logit_bias = {{300, 1.0F}}; }), StartsWith("logit_bias: "));
  auto task = *make_local(engine({"refund", "login"}), {.name = "task"});
  Request r = ask("x");
  r.logprobs = true;
  EXPECT_THAT(answer(*task, r).error().message, StartsWith("logprobs: "));
}

TEST(LocalChat, KeepsToAFormat) {
  auto model = *make_local(engine({}, 2048), {.name = "plain"});
  Request r = ask("the quick");
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
  Request r = ask("the quick");
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

TEST(Local, ConstrainsCallsToTheirTools) {
  LocalFormats formats(engine({}));
  std::vector<std::string> notes;
  const std::vector<Tool> tools{
      {"add", "", R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
      "additionalProperties":false})"},
      {"stop"}};
  auto accepts = [](const std::shared_ptr<const runtime::Grammar>& grammar, std::string_view text) {
    runtime::GrammarState state(grammar);
    return state.accept_bytes(text) && state.may_end();
  };
  auto any = formats.call_grammar(tools, {}, notes);
  ASSERT_TRUE(any) << any.error().message;
  EXPECT_TRUE(accepts(*any, R"({"name": "add", "arguments": {"a": 3}})"));
  EXPECT_TRUE(accepts(*any, R"({"name":"stop","arguments":{}})"));
  EXPECT_FALSE(accepts(*any, R"({"name":"add","arguments":{}})"));
  EXPECT_FALSE(accepts(*any, R"({"name":"other","arguments":{}})"));
  auto one = formats.call_grammar(tools, {ToolChoice::Mode::kFunction, "stop"}, notes);
  ASSERT_TRUE(one);
  EXPECT_FALSE(accepts(*one, R"({"name":"add","arguments":{"a":3}})"));
  EXPECT_EQ(formats.call_grammar(tools, {ToolChoice::Mode::kFunction, "x"}, notes).error().code,
            Code::kInvalidArgument);
}

TEST(LocalChat, GivesLogProbabilitiesThatSpellTheText) {
  auto model = *make_local(engine({}), {.name = "plain"});
  Request r = ask("Once");
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
  for (int i = 0; i < 8; ++i) expected.push_back(answer(*model, ask("text " + std::to_string(i)))->text);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 8; ++i)
        EXPECT_EQ(answer(*model, ask("text " + std::to_string(i)))->text, expected[static_cast<size_t>(i)]);
    });
  }
}

}  // namespace
}  // namespace bantam::chat
