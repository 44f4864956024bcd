#include "server/team_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/scripted.h"
#include "server/config.h"

#include "model/certificate.h"

namespace bantam::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Result<ServerConfig> read(const std::string& keys) {
  return parse_config(
      "[[models]]\nname = \"m\"\npath = \"m.gguf\"\n[[teams]]\nname = \"t\"\nslm = \"m\"\nllm = \"m\"\n" +
          keys,
      "c.toml", ".");
}

StrategyConfig strategy(const std::string& keys) {
  auto config = read(keys);
  EXPECT_TRUE(config) << config.error().message;
  return config ? config->teams.at(0).of_strategy : StrategyConfig{};
}

std::string message(const std::string& keys) { return read(keys).error().message; }

TEST(TeamConfig, OfAllStrategies) {
  auto verify = strategy(
      "strategy = \"verify\"\nagreement = \"words\"\nagreement_bound = 0.7\nhold_back = 3\ncorrection = "
      "\"no: {answer}\"\n"
      "stands_at = 0.9\nsafe_tools = [\"search\"]\nhead_start = 0.05\npatience = 2\non_llm_failure = "
      "\"queue\"\nqueue_size = 5\n");
  EXPECT_EQ(verify.verify.agreement.measure, collab::Measure::kWords);
  EXPECT_EQ(verify.verify.hold_back, 3u);
  EXPECT_EQ(verify.verify.head_start, 50ms);
  EXPECT_EQ(verify.verify.patience, 2000ms);
  EXPECT_THAT(verify.verify.safe_tools, ElementsAre("search"));
  EXPECT_EQ(verify.rule.on_failure, collab::OnLlmFailure::kQueue);
  EXPECT_EQ(verify.rule.queue_size, 5u);
  EXPECT_FALSE(strategy("strategy = \"verify\"\n").verify.hold_back) << "everything is kept back";

  EXPECT_EQ(strategy("strategy = \"draft\"\nfinish = \"complete\"\n").draft.finish,
            collab::DraftOptions::Finish::kComplete);
  EXPECT_EQ(strategy("strategy = \"filter\"\npick = \"quote\"\nnone = \"-\"\n").filter.none, "-");
  auto check =
      strategy("strategy = \"check\"\nby = \"words\"\nunsupported = \"remove\"\nsplit = \"lines\"\n").check;
  EXPECT_EQ(check.by, collab::CheckOptions::By::kWords);
  EXPECT_EQ(check.bound, 0.8);
  auto cascade =
      strategy("confidence = \"learned\"\nweights = [1, 2.5]\nsamples = 3\nthreshold = 0.5\n").confidence;
  EXPECT_THAT(cascade.weights, ElementsAre(1, 2.5));
  EXPECT_EQ(cascade.samples, 3u);
}

TEST(TeamConfig, RefusesKeysOfOtherStrategiesAndWrongWords) {
  EXPECT_THAT(message("strategy = \"verify\"\nthreshold = 0.5\n"), HasSubstr("threshold"));
  EXPECT_THAT(message("strategy = \"draft\"\nhold_back = 1\n"), HasSubstr("hold_back"));
  EXPECT_THAT(message("strategy = \"verify\"\nqueue_size = 1\n"), HasSubstr("queue_size"));
  EXPECT_THAT(message("confidence = \"gut\"\n"), HasSubstr("found \"gut\", expected \"model\""));
  EXPECT_THAT(message("confidence = \"learned\"\nweights = [\"a\"]\n"), HasSubstr("expected numbers only"));
  EXPECT_THAT(message("strategy = \"verify\"\nhold_back = -1\n"), HasSubstr("hold_back"));
}

TEST(TeamConfig, OpensATeamOfEachStrategy) {
  auto model = [](const char* name) { return std::make_shared<chat::ScriptedModel>(name); };
  for (const char* name : {"verify", "draft", "filter", "check"}) {
    auto team = open_strategy("t", name, {}, model("s"), model("l"));
    ASSERT_TRUE(team) << team.error().message;
    EXPECT_EQ((*team)->name(), "t");
  }
  auto team = open_strategy("t", "cascade", {}, model("s"), model("l"));
  ASSERT_FALSE(team);
  EXPECT_THAT(team.error().message, HasSubstr("threshold: found none, and 's' has no calibrated one"));
  StrategyConfig config;
  config.threshold = 0.5;
  EXPECT_TRUE(open_strategy("t", "cascade", config, model("s"), model("l")));
}

std::shared_ptr<chat::ScriptedModel> task_model(bool certified) {
  chat::TaskInfo task{"tickets", {"a", "b"}, 0.8, true};
  model::Certificate c{.error = 0.01, .confidence = 0.95, .threshold = 0.8, .examples = 2, .kept = 2};
  c.drift_edges = {0.5};
  c.drift_counts = {1, 1};
  if (certified) task.certificate = std::make_shared<const model::Certificate>(c);
  return std::make_shared<chat::ScriptedModel>("s", std::vector<chat::ScriptedTurn>{}, task);
}

TEST(TeamConfig, WatchesTheCertificateOfTheThresholdItUses) {
  auto llm = std::make_shared<chat::ScriptedModel>("l");
  auto open = [&](const std::string& keys, bool certified) {
    return open_strategy("t", "cascade", strategy(keys), task_model(certified), llm);
  };
  EXPECT_TRUE((*open("", true))->certificate());
  EXPECT_TRUE((*open("drift = \"llm\"\ndrift_alarm = 0.001\n", true))->certificate());
  EXPECT_FALSE((*open("drift = \"off\"\n", true))->certificate());
  EXPECT_FALSE((*open("", false))->certificate());
  // Another threshold, or another confidence, is not the certificate's.
  EXPECT_FALSE((*open("threshold = 0.9\n", true))->certificate());
  EXPECT_FALSE((*open("threshold = 0.9\nconfidence = \"margin\"\n", true))->certificate());
  auto without = open("drift = \"warn\"\n", false);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("drift: found no certificate"));
}

TEST(TeamConfig, SpeculativeNeedsAnSlmOrLookup) {
  EXPECT_FALSE(strategy("strategy = \"speculative\"\n").lookup);
  EXPECT_THAT(message("strategy = \"speculative\"\non_llm_failure = \"error\"\n"),
              HasSubstr("on_llm_failure"));
  EXPECT_THAT(message("strategy = \"speculative\"\ndraft = \"lookup\"\n"), HasSubstr("has no part"));
  auto made = open_strategy("t", "speculative", {}, task_model(false), task_model(false));
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("does not run here"));
}

}  // namespace
}  // namespace bantam::server
