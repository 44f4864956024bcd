#include "collab/cascade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "chat/events.h"
#include "chat/scripted.h"
#include "model/certificate.h"

namespace bantam::collab {
namespace {

using chat::Reply;
using chat::Request;
using chat::ScriptedModel;
using chat::ScriptedTurn;
using testing::ElementsAre;
using testing::HasSubstr;

ScriptedTurn turn(std::vector<std::string> parts, std::optional<double> confidence = {}, double cost = 0) {
  ScriptedTurn t;
  t.parts = std::move(parts);
  t.confidence = confidence;
  t.cost = cost;
  return t;
}

ScriptedTurn broken(Code code, std::vector<std::string> parts = {}) {
  ScriptedTurn t = turn(std::move(parts));
  t.error = Error{code, "the line is down"};
  return t;
}

struct CascadeTeam {
  std::shared_ptr<ScriptedModel> slm = std::make_shared<ScriptedModel>(
      "small", std::vector<ScriptedTurn>{}, chat::TaskInfo{"tickets", {"refund", "login"}, 0.8, true});
  std::shared_ptr<ScriptedModel> llm = std::make_shared<ScriptedModel>("large");
  std::shared_ptr<chat::ChatModel> model;
  std::vector<std::string> streamed;

  explicit CascadeTeam(double threshold = 0.8, OnLlmFailure on_failure = OnLlmFailure::kUnverified) {
    auto made = make_cascade(slm, llm, {"team", threshold, {on_failure}});
    EXPECT_TRUE(made);
    if (made) model = *made;
  }
  Result<Reply> ask(const Request& request = {}) {
    return chat::wait(model->generate(request, chat::text_sink([this](std::string_view text) {
                                        streamed.emplace_back(text);
                                        return true;
                                      })));
  }
};

TEST(Cascade, ConfidentSlmAnswersAloneAndTheLlmIsNotAsked) {
  CascadeTeam team;
  team.slm->say(turn({"ref", "und"}, 0.8, 0.001));  // exactly at the threshold
  auto reply = team.ask();
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "refund");
  EXPECT_EQ(reply->answered_by, "small");
  EXPECT_EQ(reply->cost, 0.001);
  ASSERT_EQ(reply->steps.size(), 1u);
  EXPECT_EQ(reply->steps[0].outcome, "answered");
  EXPECT_TRUE(team.llm->requests().empty());
  EXPECT_THAT(team.streamed, ElementsAre("refund"));  // at once, after the decision
}

TEST(Cascade, BelowTheThresholdOnlyTheLlmsTextIsStreamed) {
  CascadeTeam team;
  team.slm->say(turn({"refund"}, 0.79, 0.001));
  team.llm->say(turn({"log", "in"}, {}, 0.5));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "login");
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_DOUBLE_EQ(reply->cost, 0.501);
  EXPECT_THAT(team.streamed, ElementsAre("log", "in"));
  ASSERT_EQ(reply->steps.size(), 2u);
  EXPECT_EQ(reply->steps[0].model, "small");
  EXPECT_EQ(reply->steps[0].outcome, "below threshold");
  EXPECT_EQ(reply->steps[1].model, "large");
  EXPECT_FALSE(reply->unverified);
}

TEST(Cascade, TheTasksLabelsBecomeTheLlmsChoicesUnlessTheRequestHasItsOwn) {
  CascadeTeam team;
  team.slm->say(turn({"refund"}, 0.1));
  team.slm->say(turn({"refund"}, 0.1));
  team.llm->say(turn({"login"}));
  team.llm->say(turn({"login"}));
  Request request;
  ASSERT_TRUE(team.ask(request));
  request.choices = {"login"};
  ASSERT_TRUE(team.ask(request));
  EXPECT_THAT(team.llm->requests()[0].choices, ElementsAre("refund", "login"));
  EXPECT_THAT(team.llm->requests()[1].choices, ElementsAre("login"));
}

TEST(Cascade, NoConfidenceAsksTheLlm) {
  CascadeTeam team(0.0);
  team.slm->say(turn({"refund"}));
  team.llm->say(turn({"login"}));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_EQ(reply->steps[0].outcome, "no confidence");
}

TEST(Cascade, WhatTheSlmCannotTakeGoesToTheLlm) {
  CascadeTeam team;
  team.slm->say(broken(Code::kLimit));
  team.llm->say(turn({"login"}));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_THAT(reply->steps[0].outcome, HasSubstr("failed: the line is down"));
}

TEST(Cascade, ALlmThatFailsLeavesTheSlmsAnswerMarked) {
  CascadeTeam team;
  team.slm->say(turn({"refund"}, 0.5));
  team.llm->say(broken(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_EQ(reply->text, "refund");
  EXPECT_EQ(reply->answered_by, "small");
  EXPECT_THAT(team.streamed, ElementsAre("refund"));
  ASSERT_EQ(reply->steps.size(), 2u);
  EXPECT_THAT(reply->steps[1].outcome, HasSubstr("failed:"));
}

TEST(Cascade, ALlmThatFailsIsAnErrorWhereConfiguredSo) {
  CascadeTeam team(0.8, OnLlmFailure::kError);
  team.slm->say(turn({"refund"}, 0.5));
  team.llm->say(broken(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
  EXPECT_TRUE(team.streamed.empty());
}

TEST(Cascade, NeverSplicesTheSlmsAnswerAfterStreamedText) {
  CascadeTeam team;
  team.slm->say(turn({"refund"}, 0.5));
  team.llm->say(broken(Code::kUnavailable, {"log"}));
  auto reply = team.ask();
  EXPECT_FALSE(reply);
  EXPECT_THAT(team.streamed, ElementsAre("log"));
}

TEST(Cascade, BothFailingIsTheLlmsError) {
  CascadeTeam team;
  team.slm->say(broken(Code::kInternal));
  team.llm->say(broken(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(Cascade, CancellationIsNotAFailureToAnswerAround) {
  CascadeTeam team;
  std::stop_source stop;
  stop.request_stop();
  Request request;
  request.cancel = stop.get_token();
  team.slm->say(turn({"refund"}, 0.1));
  auto reply = team.ask(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);
  EXPECT_TRUE(team.llm->requests().empty());
}

TEST(Cascade, RefusesAThresholdOutsideItsRange) {
  auto slm = std::make_shared<ScriptedModel>("small");
  for (double t : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(make_cascade(slm, slm, {"team", t}));
  }
  EXPECT_FALSE(make_cascade(slm, nullptr, {"team", 0.5}));
}

/// Tested on answers of which half are as sure as 0.9 and more.
std::shared_ptr<const model::Certificate> certificate() {
  model::Certificate c{.error = 0.01, .confidence = 0.95, .threshold = 0.8, .examples = 400, .kept = 400};
  c.drift_edges = {0.85, 0.9, 0.95};
  c.drift_counts = {100, 100, 100, 100};
  return std::make_shared<const model::Certificate>(c);
}

std::shared_ptr<chat::ChatModel> watched(const CascadeTeam& team, OnDrift then) {
  auto made =
      make_cascade(team.slm, team.llm, {.name = "team", .threshold = 0.8, .drift = {certificate(), then}});
  EXPECT_TRUE(made) << made.error().message;
  return *made;
}

TEST(CascadeDrift, CertificateHoldsWhileConfidencesAreAsItsOwn) {
  CascadeTeam team;
  team.model = watched(team, OnDrift::kSendUp);
  Rng rng(3);
  for (int i = 0; i < 300; ++i) {
    team.slm->say(turn({"refund"}, 0.8 + 0.2 * rng.uniform()));  // quarters of the bins
    auto reply = team.ask();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->answered_by, "small");
    EXPECT_TRUE(reply->notes.empty());
  }
  auto state = team.model->certificate();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->holds);
  EXPECT_EQ(state->observed, 300U);
  EXPECT_FALSE(CascadeTeam().model->certificate());
}

TEST(CascadeDrift, AnswersSayThatItNoLongerHolds) {
  for (OnDrift then : {OnDrift::kWarn, OnDrift::kSendUp}) {
    CascadeTeam team;
    team.model = watched(team, then);
    Reply last;
    for (int i = 0; i < 100; ++i) {
      team.slm->say(turn({"refund"}, 0.81));  // kept, but all of them among the least sure
      team.llm->say(turn({"login"}, {}));
      auto reply = team.ask();
      ASSERT_TRUE(reply);
      last = *reply;
    }
    EXPECT_FALSE(team.model->certificate()->holds);
    EXPECT_GT(team.model->certificate()->evidence, 100);
    ASSERT_EQ(last.notes.size(), 1U);
    EXPECT_THAT(last.notes[0], HasSubstr("certificate: no longer holds"));
    EXPECT_EQ(last.answered_by, then == OnDrift::kWarn ? "small" : "large");
    if (then == OnDrift::kSendUp) {
      EXPECT_EQ(last.steps.at(0).outcome, "certificate no longer holds");
    }
  }
}

TEST(CascadeDrift, ChoicesOfTheRequestsOwnAreNotWatched) {
  CascadeTeam team;
  team.model = watched(team, OnDrift::kWarn);
  Request request;
  request.choices = {"refund", "login"};
  team.slm->say(turn({"refund"}, 0.81));
  ASSERT_TRUE(team.ask(request));
  EXPECT_EQ(team.model->certificate()->observed, 0U);
}

}  // namespace
}  // namespace bantam::collab
