#include "chat/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/usage.h"
#include "model/random_model.h"
#include "net/http.h"

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
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
  auto loaded = runtime::Engine::load(path, {.threads = 1});
  EXPECT_TRUE(loaded) << loaded.error().message;
  std::filesystem::remove(path);  // the map stays
  return *loaded;
}

Request ask(std::string text) {
  Request r;
  r.messages = {{"user", std::move(text)}};
  return r;
}

TEST(LocalTask, AnswersWithALabelAndItsProbability) {
  auto model = make_local(engine({"refund", "login", "other"}),
                          {.name = "small", .prices = {1e6, 1e6}, .sessions = 1});
  ASSERT_TRUE(model);
  ASSERT_NE((*model)->task(), nullptr);
  EXPECT_THAT((*model)->task()->labels, ElementsAre("refund", "login", "other"));
  std::vector<std::string> streamed;
  auto reply = (*model)->generate(ask("I want my money back"), [&](std::string_view t) {
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
  auto reply = model->generate(r, {});
  ASSERT_TRUE(reply);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("last user message"), HasSubstr("sampling")));
  EXPECT_EQ(reply->text, model->generate(ask("second"), {})->text);
  r = ask("x");
  r.choices = {"login"};
  EXPECT_EQ(model->generate(r, {})->text, "login");
  r.choices = {"payment"};
  EXPECT_THAT(model->generate(r, {}).error().message, StartsWith("guided_choice: found 'payment'"));
  r = ask("x");
  r.stop = {"a"};
  EXPECT_THAT(model->generate(r, {}).error().message, StartsWith("stop: "));
  r = ask("x");
  r.max_tokens = 0;
  EXPECT_THAT(model->generate(r, {}).error().message, StartsWith("max_tokens: "));
  r.messages = {{"system", "x"}};
  EXPECT_EQ(model->generate(r, {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(model->generate(ask(std::string(5000, 'x')), {}).error().code, Code::kLimit);
}

TEST(LocalChat, ContinuesAndChoosesWithoutATask) {
  auto model = *make_local(engine({}), {.name = "plain"});
  EXPECT_EQ(model->task(), nullptr);
  Request r = ask("the quick");
  r.max_tokens = 5;
  std::string streamed;
  auto reply = model->generate(r, [&](std::string_view t) {
    streamed += t;
    return true;
  });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(streamed, reply->text);
  EXPECT_LE(reply->usage.completion_tokens, 5u);
  EXPECT_FALSE(reply->confidence);
  r.choices = {"brown fox", "dog"};
  r.max_tokens.reset();
  reply = model->generate(r, {});
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(reply->text, AnyOf("brown fox", "dog"));
  EXPECT_TRUE(reply->confidence);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("no chat template")));
}

TEST(LocalChat, StopsForTheCallerTheTokenAndTheDeadline) {
  auto model = *make_local(engine({}, 1U << 16), {.name = "plain", .sessions = 1});
  Request r = ask("the quick");
  auto code = [&](const TextSink& sink) { return model->generate(r, sink).error().code; };
  r.sampling.temperature = 1;
  r.sampling.seed = 5;
  int pieces = 0;
  EXPECT_EQ(code([&](std::string_view) { return ++pieces < 3; }), Code::kCancelled);
  EXPECT_EQ(pieces, 3);
  std::stop_source stop;
  stop.request_stop();
  r.cancel = stop.get_token();
  EXPECT_EQ(code({}), Code::kCancelled);
  r.cancel = {};
  r.deadline = std::chrono::steady_clock::now() + 50ms;
  double start = wall_seconds();
  // The sink keeps the only session busy past the deadline; the second call then waits for it in vain.
  std::jthread other([&] {
    std::this_thread::sleep_for(10ms);
    auto waited = model->generate(r, {});
    ASSERT_FALSE(waited);
    EXPECT_THAT(waited.error().message, HasSubstr("deadline"));
  });
  auto slow = model->generate(r, [](std::string_view) {
    std::this_thread::sleep_for(20ms);
    return true;
  });
  ASSERT_FALSE(slow);
  EXPECT_THAT(slow.error().message, HasSubstr("deadline"));
  EXPECT_LT(wall_seconds() - start, 5);
}

TEST(Local, RunsManyCallsAtOnceWithTheSameAnswers) {
  auto model = *make_local(engine({"refund", "login", "other"}), {.name = "small", .sessions = 3});
  std::vector<std::string> expected;
  for (int i = 0; i < 8; ++i) expected.push_back(model->generate(ask("text " + std::to_string(i)), {})->text);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 8; ++i)
        EXPECT_EQ(model->generate(ask("text " + std::to_string(i)), {})->text,
                  expected[static_cast<size_t>(i)]);
    });
  }
}

}  // namespace
}  // namespace bantam::chat
