#include "collab/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collab/team_for_test.h"

namespace bantam::collab {
namespace {

using namespace std::chrono_literals;
using chat::Request;
using chat::ScriptedModel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct VerifyTeam {
  std::shared_ptr<ScriptedModel> slm = std::make_shared<ScriptedModel>("small");
  std::shared_ptr<ScriptedModel> llm = std::make_shared<ScriptedModel>("large");
  VerifyOptions options;
  Caller caller;

  VerifyTeam() {
    options.name = "team";
    options.hold_back = 0;
  }
  Result<chat::Reply> ask(Request request = asks("capital of France?")) {
    auto made = make_verify(slm, llm, options);
    EXPECT_TRUE(made);
    return caller.ask(**made, request);
  }
  std::vector<std::string> outcomes(const Result<chat::Reply>& reply) {
    std::vector<std::string> out;
    for (const chat::Step& s : reply->steps) out.push_back(s.model + ": " + s.outcome);
    return out;
  }
};

Request typed(Request request) {
  request.typed_events = true;
  return request;
}

TEST(Verify, AgreementEndsTheStream) {
  VerifyTeam team;
  team.slm->say(says({"It is ", "Paris."}, 0ms, 0.01));
  team.llm->say(says({"it is paris"}, 10ms, 0.5));
  auto reply = team.ask();
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "It is Paris.");
  EXPECT_EQ(team.caller.text(), "It is Paris.");
  EXPECT_EQ(reply->answered_by, "small");
  EXPECT_FALSE(reply->unverified);
  EXPECT_DOUBLE_EQ(reply->cost, 0.51);
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: answered", "large: agrees"));
}

TEST(Verify, DisagreementWithinTheHoldBackLeavesNoTrace) {
  VerifyTeam team;
  team.options.hold_back = 8;
  team.slm->say(says({"It is ", "Lyon."}));
  team.llm->say(says({"It is ", "Paris."}, 10ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "It is Paris.");
  EXPECT_EQ(reply->text, "It is Paris.");
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: overruled", "large: answered"));
}

TEST(Verify, WhatWasSentMayBeHowTheLlmsAnswerBegins) {
  VerifyTeam team;
  team.options.hold_back = 1;
  team.slm->say(says({"It is ", "Lyon."}));
  team.llm->say(says({"It is ", "Paris", "."}, 10ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.heard[0], "It is ");
  EXPECT_EQ(team.caller.text(), "It is Paris.");
  EXPECT_EQ(reply->text, "It is Paris.");
}

TEST(Verify, DisagreementAfterTheHoldBackIsACorrectionNotASplice) {
  VerifyTeam team;
  team.slm->say(says({"It is ", "Lyon."}));
  team.llm->say(says({"It is ", "Paris."}, 10ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "It is Lyon.\n\nCorrection: It is Paris.");
  EXPECT_EQ(reply->text, team.caller.text());
  EXPECT_EQ(reply->answered_by, "large");
}

TEST(Verify, ACallerWithoutASinkGetsTheLastWordOnly) {
  VerifyTeam team;
  team.slm->say(says({"Lyon"}));
  team.llm->say(says({"Paris"}, 5ms));
  auto made = make_verify(team.slm, team.llm, team.options);
  ASSERT_TRUE(made);
  Request request = asks("?");
  auto reply = chat::wait((*made)->generate(request, {}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Paris");
}

TEST(Verify, AnEarlyDifferenceStopsTheSlm) {
  VerifyTeam team;
  team.options.hold_back.reset();
  auto slow = says({"Lyon ", "is ", "the ", "capital"});
  slow.part_delay = 10s;
  team.slm->say(slow);
  team.llm->say(says({"Paris ", "it is"}, 5ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "Paris it is");
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: overruled", "large: answered"));
}

TEST(Verify, AnLlmThatIsDoneFirstOvertakes) {
  VerifyTeam team;
  auto slow = says({"Paris", " it", " is"});
  slow.part_delay = 10s;
  team.slm->say(slow);
  team.llm->say(says({"Paris it is"}, 5ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "Paris it is");
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: overtaken", "large: answered"));
}

TEST(Verify, TypedCallersSeeDraftAndVerdict) {
  VerifyTeam team;
  team.options.hold_back.reset();  // is for plain callers
  team.slm->say(says({"Par", "is"}));
  team.llm->say(says({"Paris"}, 10ms));
  ASSERT_TRUE(team.ask(typed(asks("?"))));
  EXPECT_THAT(team.caller.heard, ElementsAre("draft", "Paris", "verified"));

  VerifyTeam other;
  other.slm->say(says({"Lyon"}));
  other.llm->say(says({"Paris"}, 10ms));
  auto reply = other.ask(typed(asks("?")));
  ASSERT_TRUE(reply);
  EXPECT_THAT(other.caller.heard, ElementsAre("draft", "Lyon", "revised: Paris"));
  EXPECT_EQ(reply->text, "Paris");
}

TEST(Verify, ToolCallsWaitForTheVerdict) {
  VerifyTeam team;
  team.slm->say(calls("pay", R"({"sum":5})"));
  team.llm->say(calls("pay", R"({ "sum": 5 })", 10ms));
  auto reply = team.ask(typed(asks("pay 5")));
  ASSERT_TRUE(reply);
  EXPECT_THAT(team.caller.heard, ElementsAre("verified", "call pay"));

  VerifyTeam other;
  other.slm->say(calls("pay", R"({"sum":50})"));
  other.llm->say(calls("ask", R"({"what":"sum"})", 10ms));
  reply = other.ask();
  ASSERT_TRUE(reply);
  EXPECT_THAT(other.caller.heard, ElementsAre("call ask"));
  EXPECT_EQ(reply->tool_calls[0].name, "ask");
}

TEST(Verify, CallsOfSafeToolsStandAndTheLlmIsCancelled) {
  VerifyTeam team;
  team.options.safe_tools = {"search"};
  team.slm->say(calls("search", "{}", 30ms));
  team.llm->say(says({"never"}, 10s));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_THAT(team.caller.heard, ElementsAre("call search"));
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: answered", "large: cancelled: not needed"));
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("'large' was cancelled")));
}

TEST(Verify, AConfidentAnswerNeedsNoVerdict) {
  VerifyTeam team;
  team.options.stands_at = 0.9;
  team.slm->say(sure("Paris", 0.9));
  team.llm->say(says({"never"}, 10s));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Paris");
  EXPECT_EQ(reply->answered_by, "small");
}

TEST(Verify, LabelsAgreeWhenEqualAndGoToTheLlmAsChoices) {
  VerifyTeam team;
  team.slm = std::make_shared<ScriptedModel>("small", std::vector<chat::ScriptedTurn>{},
                                             chat::TaskInfo{"t", {"No", "no"}, 0.5, true});
  team.options.hold_back.reset();
  team.slm->say(says({"No"}));
  team.llm->say(says({"no"}, 5ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "no");
  EXPECT_THAT(team.llm->requests().at(0).choices, ElementsAre("No", "no"));
}

TEST(Verify, AJudgeDecidesWhatIsNotEqual) {
  VerifyTeam team;
  team.options.agreement.measure = Measure::kJudge;
  team.slm->say(says({"The capital is Paris"}));
  team.llm->say(says({"Paris, it is"}, 5ms));
  team.llm->say(says({"yes"}, 0ms, 0.25));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "The capital is Paris");
  EXPECT_THAT(team.outcomes(reply),
              ElementsAre("small: answered", "large: agrees", "large: judged: the same"));
  EXPECT_DOUBLE_EQ(reply->cost, 0.25);
  const Request judged = team.llm->requests().at(1);
  EXPECT_THAT(judged.messages.at(0).content, HasSubstr("First answer:\nThe capital is Paris"));
  EXPECT_THAT(judged.choices, ElementsAre("yes", "no"));

  team.slm->say(says({"Lyon"}));
  team.llm->say(says({"Paris"}, 5ms));
  team.llm->say(says({"no"}));
  team.options.hold_back.reset();
  reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Paris");
}

TEST(Verify, LlmFailureMarksTheSlmsAnswer) {
  VerifyTeam team;
  team.slm->say(says({"Par", "is"}, 5ms));
  team.llm->say(breaks(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(team.caller.text(), "Paris");
  EXPECT_TRUE(reply->unverified);
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: unverified", "large: failed: the line is down"));
}

TEST(Verify, LlmFailureIsAnErrorWhereThatIsTheRule) {
  VerifyTeam team;
  team.options.llm.on_failure = OnLlmFailure::kError;
  team.options.hold_back.reset();
  team.slm->say(says({"Paris"}, 10s));
  team.llm->say(breaks(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, "the line is down");
  EXPECT_THAT(team.caller.heard, IsEmpty());
}

TEST(Verify, LlmFailureWaitsInTheQueue) {
  VerifyTeam team;
  team.options.llm = {OnLlmFailure::kQueue, 1ms, 5s, 4};
  team.slm->say(says({"Paris"}));
  team.llm->say(breaks(Code::kUnavailable));
  team.llm->say(breaks(Code::kUnavailable));
  team.llm->say(says({"Paris"}));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_FALSE(reply->unverified);
  EXPECT_EQ(team.llm->requests().size(), 3u);
}

TEST(Verify, AnLlmThatBreaksOffBeforeAnythingWasSeenFallsBackToAWholeDraft) {
  VerifyTeam team;
  team.options.hold_back.reset();
  team.slm->say(says({"Lyon"}));
  auto cut = breaks(Code::kUnavailable, {"Par"}, 10ms);
  team.llm->say(cut);
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Lyon");
  EXPECT_TRUE(reply->unverified);
}

TEST(Verify, AnLlmThatBreaksOffMidCorrectionIsAnError) {
  VerifyTeam team;
  auto slow = says({"Lyon ", "it ", "is"});
  slow.part_delay = 10s;
  team.slm->say(slow);
  auto cut = breaks(Code::kUnavailable, {"Paris ", "is "}, 5ms);
  cut.part_delay = 5ms;
  team.llm->say(cut);
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(Verify, SlmFailureLeavesTheLlm) {
  VerifyTeam team;
  team.slm->say(breaks(Code::kLimit));
  team.llm->say(says({"Paris"}, 5ms));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Paris");
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: failed: the line is down", "large: answered"));
}

TEST(Verify, BothFail) {
  VerifyTeam team;
  team.slm->say(breaks(Code::kLimit, {"x"}));
  team.llm->say(breaks(Code::kUnavailable));
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(Verify, PatienceEndsTheWait) {
  VerifyTeam team;
  team.options.patience = 5ms;
  team.slm->say(says({"Paris"}));
  team.llm->say(says({"never"}, 10s));
  auto reply = team.ask();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_THAT(team.outcomes(reply), ElementsAre("small: unverified", "large: failed: no verdict in time"));
  team.options.llm.on_failure = OnLlmFailure::kError;
  team.slm->say(says({"Paris"}));
  team.llm->say(says({"never"}, 10s));
  reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(Verify, ACallerWhoLeavesStopsBoth) {
  VerifyTeam team;
  auto slow = says({"Par", "is"});
  slow.part_delay = 10s;
  team.slm->say(slow);
  team.llm->say(says({"never"}, 10s));
  team.caller.leaves_after = 1;
  auto reply = team.ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);
}

TEST(Verify, CancelAndDeadlineReachBoth) {
  VerifyTeam team;
  team.slm->say(says({"never"}, 10s));
  team.llm->say(says({"never"}, 10s));
  Request request = asks("?");
  std::stop_source stop;
  request.cancel = stop.get_token();
  stop.request_stop();
  auto reply = team.ask(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);

  team.slm->say(says({"never"}, 10s));
  team.llm->say(says({"never"}, 10s));
  request = asks("?");
  request.deadline = std::chrono::steady_clock::now() + 30ms;
  reply = team.ask(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);

  // The SLM made it within the deadline: its answer is not thrown away.
  team.slm->say(says({"Paris"}));
  team.llm->say(says({"never"}, 10s));
  request.deadline = std::chrono::steady_clock::now() + 30ms;
  reply = team.ask(request);
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
}

TEST(Verify, RefusesWhatMakesNoSense) {
  VerifyTeam team;
  auto message = [&] {
    auto made = make_verify(team.slm, team.llm, team.options);
    return made ? std::string() : made.error().message;
  };
  team.options.correction = "no place";
  EXPECT_THAT(message(), HasSubstr("team 'team': correction: found no {answer}"));
  team.options.correction = "{answer}";
  team.options.stands_at = 2;
  EXPECT_THAT(message(), HasSubstr("stands_at is 2"));
  EXPECT_FALSE(make_verify(team.slm, nullptr, {}));
}

}  // namespace
}  // namespace bantam::collab
