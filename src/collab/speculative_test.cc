#include "collab/speculative.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "chat/call_notes.h"
#include "chat/local.h"
#include "collab/ask.h"
#include "collab/member.h"
#include "collab/team_for_test.h"
#include "model/random_model.h"
#include "net/http.h"
#include "runtime/engine.h"

namespace bantam::collab {
namespace {

using testing::HasSubstr;

using ModelPtr = std::shared_ptr<chat::ChatModel>;

ModelPtr local(const std::string& name, uint32_t dim, uint64_t seed,
               const std::vector<std::string>& labels = {}) {
  auto path = (std::filesystem::temp_directory_path() / net::random_id("bantam_spec_")).string() + ".gguf";
  model::Config config;
  config.vocab_size = 300;
  config.context_length = 256;
  config.dim = config.ffn_dim = dim;
  config.layers = 1;
  config.heads = config.kv_heads = 2;
  config.head_dim = dim / 2;
  config.tied_head = true;
  EXPECT_TRUE(model::write_random_model(path, config, tensor::DType::kF32, seed, labels));
  auto engine = runtime::Engine::load(path, {.threads = 1});
  EXPECT_TRUE(engine) << engine.error().message;
  std::filesystem::remove(path);  // the map stays
  return *chat::make_local(*engine, {.name = name, .prices = {1, 1}, .sessions = 3});
}

chat::Request long_answer(const std::string& text) {
  chat::Request r;
  r.prompt = text;
  r.max_tokens = 80;
  return r;
}

TEST(Speculative, SaysWhatTheLlmSaysTokenForToken) {
  ModelPtr slm = local("slm", 32, 2), llm = local("llm", 64, 1);
  ModelPtr twin = local("twin", 64, 1);  // proposes what the LLM says
  for (const ModelPtr& draft : {slm, twin, ModelPtr()}) {
    auto team = make_speculative(draft, llm, {"team"});
    ASSERT_TRUE(team) << team.error().message;
    for (float temperature : {0.0F, 0.9F}) {
      chat::Request request = long_answer("the quick brown fox the quick");
      request.sampling.temperature = temperature;
      request.sampling.seed = 5;
      request.logprobs = true;
      Caller with, without;
      auto ours = with.ask(**team, request), alone = without.ask(*llm, request);
      ASSERT_TRUE(ours) << ours.error().message;
      ASSERT_TRUE(alone) << alone.error().message;
      EXPECT_EQ(ours->text, alone->text);
      EXPECT_EQ(with.text(), ours->text);
      ASSERT_EQ(ours->logprobs.size(), alone->logprobs.size());  // so many tokens, each of them as likely
      for (size_t i = 0; i < ours->logprobs.size(); ++i) {
        EXPECT_EQ(ours->logprobs[i].text, alone->logprobs[i].text);
        EXPECT_EQ(ours->logprobs[i].logprob, alone->logprobs[i].logprob);
      }
      EXPECT_EQ(ours->usage.completion_tokens, alone->usage.completion_tokens);
      EXPECT_EQ(alone->usage.drafted_tokens, 0U);
      EXPECT_LE(ours->usage.accepted_tokens, ours->usage.drafted_tokens);
      EXPECT_EQ(ours->answered_by, "llm");
      EXPECT_EQ(ours->cost, alone->cost);
      ASSERT_EQ(ours->steps.size(), 2U);
      EXPECT_EQ(ours->steps[0].model, draft ? draft->name() : "lookup");
      EXPECT_EQ(ours->steps[0].outcome, fmt::format("drafted {} tokens, {} of them kept",
                                                    ours->usage.drafted_tokens, ours->usage.accepted_tokens));
      if (draft == twin && temperature == 0) {
        EXPECT_GT(ours->usage.accepted_tokens, 40U);
        EXPECT_EQ(ours->usage.accepted_tokens, ours->usage.drafted_tokens);
      }
    }
  }
}

TEST(Speculative, ManyAtOnceGetTheirOwn) {
  ModelPtr slm = local("slm", 32, 2), llm = local("llm", 64, 1);
  auto team = make_speculative(slm, llm, {"team"});
  ASSERT_TRUE(team);
  std::vector<chat::Request> requests;
  std::vector<std::string> expected;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(long_answer(fmt::format("question {} of eight", i)));
    expected.push_back(chat::wait(llm->generate(requests.back(), {}))->text);
  }
  LlmCall call(*team, {});
  auto ask = [&]() -> chat::Awaitable<std::vector<Result<chat::Reply>>> {
    co_return co_await ask_all(call, requests, 8);
  };
  auto replies = chat::wait(ask());
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(replies[i]) << replies[i].error().message;
    EXPECT_EQ(replies[i]->text, expected[i]);
  }
}

TEST(Speculative, CountsDraftedTokensWithinAPolicy) {
  auto member = [](ModelPtr model) {
    MemberPolicy policy;
    policy.team = "team";
    return make_member(std::move(model), policy);
  };
  ModelPtr slm = local("slm", 32, 2), llm = local("llm", 64, 1);
  auto team = make_speculative(member(slm), member(llm), {"team"});
  ASSERT_TRUE(team) << team.error().message;
  chat::Request request = long_answer("abc abc abc");
  request.notes = std::make_shared<chat::CallNotes>();
  auto reply = chat::wait((*team)->generate(request, {}));
  ASSERT_TRUE(reply);
  ASSERT_EQ(request.notes->calls.size(), 1U);
  EXPECT_EQ(request.notes->calls[0].usage.drafted_tokens, reply->usage.drafted_tokens);
  EXPECT_GT(reply->usage.drafted_tokens, 0U);
}

TEST(Speculative, RefusesModelsThatCannot) {
  ModelPtr llm = local("llm", 64, 1);
  auto message = [](auto made) { return made ? std::string() : made.error().message; };
  EXPECT_THAT(message(make_speculative(local("small", 32, 2, {"refund", "login"}), llm, {"team"})),
              testing::AllOf(HasSubstr("team 'team'"), HasSubstr("expected")));
  EXPECT_THAT(message(make_speculative(std::make_shared<chat::ScriptedModel>("far"), llm, {"team"})),
              HasSubstr("slm: 'far' does not run here"));
  EXPECT_THAT(message(make_speculative(llm, std::make_shared<chat::ScriptedModel>("far"), {"team"})),
              HasSubstr("llm: 'far' does not run here"));
  EXPECT_THAT(message(make_speculative(llm, local("labels", 32, 1, {"refund", "login"}), {"team"})),
              HasSubstr("labels"));
  EXPECT_THAT(message(make_speculative(llm, nullptr, {"team"})), HasSubstr("found no model for llm"));
}

}  // namespace
}  // namespace bantam::collab
