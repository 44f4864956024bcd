#include "collab/confidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "collab/cascade.h"
#include "collab/team_for_test.h"

namespace bantam::collab {
namespace {

using namespace std::chrono_literals;
using chat::ScriptedModel;
using testing::ElementsAre;
using testing::HasSubstr;

struct MeteredTeam {
  std::shared_ptr<ScriptedModel> slm = std::make_shared<ScriptedModel>("small");
  std::shared_ptr<ScriptedModel> llm = std::make_shared<ScriptedModel>("large");
  CascadeOptions options;
  Caller caller;

  explicit MeteredTeam(ConfidenceBy by) {
    options.name = "team";
    options.threshold = 0.5;
    options.confidence.by = by;
    llm->say(says({"up"}));
  }
  /// The confidence that was measured, whoever answered.
  double measured(const chat::ScriptedTurn& turn) {
    options.threshold = 0;
    slm->say(turn);
    auto made = make_cascade(slm, llm, options);
    EXPECT_TRUE(made) << made.error().message;
    auto reply = caller.ask(**made, asks("question"));
    EXPECT_TRUE(reply);
    return reply && reply->answered_by == "small" ? reply->confidence.value_or(-1) : -1;
  }
};

chat::ScriptedTurn tokens() {
  chat::ScriptedTurn t = says({"ab"});
  t.logprobs = {{"a", std::log(0.5)}, {"b", std::log(0.125)}};
  return t;
}

TEST(Confidence, OfTheTextsTokens) {
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kSequence).measured(tokens()), 0.0625, 1e-12);
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kMeanToken).measured(tokens()), 0.25, 1e-12);
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kLeastToken).measured(tokens()), 0.125, 1e-12);
  EXPECT_EQ(MeteredTeam(ConfidenceBy::kSequence).measured(says({"ab"})), -1) << "unknown: the LLM answers";
}

TEST(Confidence, OfTheChoices) {
  chat::ScriptedTurn t = sure("a", 0.5);
  t.choice_shares = {0.5, 0.25, 0.25};
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kModel).measured(t), 0.5, 1e-12);
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kMargin).measured(t), 0.25, 1e-9);
  double entropy = (0.5 * std::log(2) + 0.5 * std::log(4)) / std::log(3);
  EXPECT_NEAR(MeteredTeam(ConfidenceBy::kEntropy).measured(t), 1 - entropy, 1e-9);
}

TEST(Confidence, OfFurtherSamples) {
  MeteredTeam team(ConfidenceBy::kSamples);
  team.options.confidence.samples = 4;
  team.slm->say(says({"Paris."}));
  for (const char* sample : {"paris", "Lyon", "Paris"}) team.slm->say(says({sample}));
  team.slm->say(breaks(Code::kUnavailable));
  auto made = make_cascade(team.slm, team.llm, team.options);
  ASSERT_TRUE(made);
  auto reply = team.caller.ask(**made, asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_NEAR(*reply->confidence, 2.0 / 3, 1e-12);
  EXPECT_EQ(reply->steps.size(), 4u);
  EXPECT_EQ(reply->steps[1].outcome, "sample");
  auto requests = team.slm->requests();
  EXPECT_EQ(requests[1].sampling.temperature, 0.8F);
  EXPECT_NE(requests[1].sampling.seed, requests[2].sampling.seed);
}

TEST(Confidence, OfASelfCheck) {
  MeteredTeam team(ConfidenceBy::kSelfCheck);
  team.options.confidence.self_check_prompt = "{request}|{draft}";
  team.slm->say(says({"Lyon"}));
  team.slm->say(sure("no", 0.9));
  auto made = make_cascade(team.slm, team.llm, team.options);
  ASSERT_TRUE(made);
  auto reply = team.caller.ask(**made, asks("capital?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "up");
  EXPECT_EQ(team.slm->requests().at(1).messages.at(0).content, "capital?|Lyon");
  std::vector<std::string> outcomes;
  for (const auto& step : reply->steps) outcomes.push_back(step.outcome);
  EXPECT_THAT(outcomes, ElementsAre("below threshold", "self-check", "answered"));
}

TEST(Confidence, LearnedFromAllThatIsMeasured) {
  std::vector<compress::Signals> signals;
  std::vector<uint8_t> right;
  for (int i = 0; i < 40; ++i) {
    signals.emplace_back().top = i < 20 ? 0.6 + 0.001 * i : 0.9 + 0.001 * i;
    right.push_back(i % 20 == 3 ? i < 20 : i >= 20);
  }
  auto fitted = compress::Combination::fit(signals, right);
  ASSERT_TRUE(fitted);
  MeteredTeam team(ConfidenceBy::kLearned);
  team.options.confidence.weights = fitted->weights();
  double high = team.measured(sure("a", 0.93)), low = team.measured(sure("a", 0.6));
  EXPECT_GT(high, 0.6);
  EXPECT_LT(low, 0.4);
}

TEST(Confidence, RefusesWhatCannotBeMeasured) {
  auto message = [](auto change) {
    ConfidenceOptions o;
    change(o);
    return ConfidenceMeter::make(std::move(o)).error().message;
  };
  using Options = ConfidenceOptions;
  EXPECT_THAT(message([](Options& o) { o.by = ConfidenceBy::kSamples; }), HasSubstr("samples: found 0"));
  EXPECT_THAT(message([](Options& o) { o.by = ConfidenceBy::kLearned; }), HasSubstr("weights: "));
  EXPECT_THAT(message([](Options& o) { o.weights = {1}; }), HasSubstr("weights: "));
  EXPECT_THAT(message([](Options& o) { o.self_check_prompt = "{request}"; }),
              HasSubstr("self_check_prompt: found no {draft}"));
  EXPECT_THAT(message([](Options& o) { o.agreement.measure = Measure::kJudge; }), HasSubstr("agreement"));
}

TEST(Cascade, WaitsInTheQueueWhileTheLlmIsAway) {
  MeteredTeam team(ConfidenceBy::kModel);
  team.llm = std::make_shared<ScriptedModel>("large");
  team.options.llm = {OnLlmFailure::kQueue, 1ms, 5s, 1};
  team.slm->say(sure("a", 0.1));
  team.llm->say(breaks(Code::kUnavailable));
  team.llm->say(says({"back"}));
  auto made = make_cascade(team.slm, team.llm, team.options);
  ASSERT_TRUE(made);
  auto reply = team.caller.ask(**made, asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "back");

  team.options.llm.queue_size = 0;
  team.slm->say(sure("a", 0.1));
  team.llm->say(breaks(Code::kUnavailable));
  made = make_cascade(team.slm, team.llm, team.options);
  reply = team.caller.ask(**made, asks("?"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kBusy);
}

}  // namespace
}  // namespace bantam::collab
