#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "collab/pipeline_check.h"
#include "collab/pipeline_draft.h"
#include "collab/pipeline_filter.h"
#include "collab/team_for_test.h"

namespace bantam::collab {
namespace {

using namespace std::chrono_literals;
using chat::Request;
using chat::ScriptedModel;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Models {
  std::shared_ptr<ScriptedModel> slm = std::make_shared<ScriptedModel>("small");
  std::shared_ptr<ScriptedModel> llm = std::make_shared<ScriptedModel>("large");
  Caller caller;

  Result<chat::Reply> ask(Result<std::shared_ptr<chat::ChatModel>> team, const Request& request) {
    EXPECT_TRUE(team) << team.error().message;
    return caller.ask(**team, request);
  }
  std::string asked_llm(size_t i = 0) { return llm->requests().at(i).messages.back().content; }
  std::string asked_slm(size_t i = 0) { return slm->requests().at(i).messages.back().content; }
};

std::vector<std::string> outcomes(const Result<chat::Reply>& reply) {
  std::vector<std::string> out;
  for (const chat::Step& s : reply->steps) out.push_back(s.model + ": " + s.outcome);
  return out;
}

/// A text whose tokens have these probabilities.
chat::ScriptedTurn with_tokens(const std::vector<std::pair<std::string, double>>& tokens) {
  chat::ScriptedTurn t;
  for (const auto& [text, p] : tokens) {
    t.parts.push_back(text);
    t.logprobs.push_back({text, std::log(p)});
  }
  return t;
}

TEST(DoubtfulParts, AreJoinedTrimmedAndWholeCharacters) {
  std::vector<chat::TokenLogprob> tokens{{"It", -0.1}, {" is", -0.1}, {" Par", -2},
                                         {"is", -3},   {" ", -9},     {"now", -0.1}};
  auto parts = doubtful_parts("It is Paris now", tokens, 0.5);
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_EQ(parts[0].of("It is Paris now"), "Paris");
  tokens = {{"caf", -0.1}, {"\xC3", -5}, {"\xA9", -0.1}};
  parts = doubtful_parts("café", tokens, 0.5);
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_EQ(parts[0].of("café"), "é");
  EXPECT_THAT(doubtful_parts("other", tokens, 0.5), IsEmpty());
  EXPECT_THAT(doubtful_parts("café", tokens, 0), IsEmpty());
}

DraftOptions draft_options() {
  DraftOptions o;
  o.name = "team";
  o.prompt = "{request} ~ {marked} ~ {doubtful}";
  return o;
}

TEST(Draft, WithoutDoubtStands) {
  Models m;
  m.slm->say(with_tokens({{"It is", 0.9}, {" Paris", 0.6}}));
  auto reply = m.ask(make_draft(m.slm, m.llm, draft_options()), asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.caller.text(), "It is Paris");
  EXPECT_THAT(m.llm->requests(), IsEmpty());
  EXPECT_TRUE(m.slm->requests().at(0).logprobs);
  EXPECT_THAT(reply->logprobs, IsEmpty()) << "the caller did not ask for them";
}

TEST(Draft, TheLlmIsToldWhatIsDoubtful) {
  Models m;
  m.slm->say(with_tokens({{"It is", 0.9}, {" Lyon", 0.4}, {".", 0.9}}));
  m.llm->say(says({"It is ", "Paris."}, 0ms, 0.5));
  auto reply = m.ask(make_draft(m.slm, m.llm, draft_options()), asks("capital?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.asked_llm(), "capital? ~ It is ⟦Lyon⟧. ~ Lyon\n");
  EXPECT_EQ(m.caller.text(), "It is Paris.");
  EXPECT_THAT(outcomes(reply), ElementsAre("small: draft", "large: answered"));
  EXPECT_DOUBLE_EQ(reply->cost, 0.5);
}

TEST(Draft, TheLlmGoesOnFromWhatIsSure) {
  Models m;
  DraftOptions o = draft_options();
  o.finish = DraftOptions::Finish::kComplete;
  o.prompt = "{request}|{kept}";
  m.slm->say(with_tokens({{"It is", 0.9}, {" Lyon", 0.4}}));
  m.llm->say(says({" Par", "is"}));
  auto reply = m.ask(make_draft(m.slm, m.llm, o), asks("capital?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.asked_llm(), "capital?|It is ");
  EXPECT_EQ(reply->text, "It is  Paris");
  EXPECT_EQ(m.caller.text(), reply->text);

  Models repeats;  // an LLM that says it all
  repeats.slm->say(with_tokens({{"It is", 0.9}, {" Lyon", 0.4}}));
  repeats.llm->say(says({"It", " is ", "Paris"}));
  reply = repeats.ask(make_draft(repeats.slm, repeats.llm, o), asks("capital?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(repeats.caller.text(), "It is Paris");
  EXPECT_EQ(reply->text, "It is Paris");
}

TEST(Draft, WithoutLogProbabilitiesTheLlmIsAskedAndANoteSaysWhy) {
  Models m;
  m.slm->say(breaks(Code::kUnsupported));
  m.slm->say(says({"Lyon"}));
  m.llm->say(says({"Paris"}));
  auto reply = m.ask(make_draft(m.slm, m.llm, draft_options()), asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "Paris");
  EXPECT_THAT(reply->notes, Contains(HasSubstr("gives no log-probabilities")));
}

TEST(Draft, LabelsAreDoubtfulByTheirConfidence) {
  Models m;
  m.slm = std::make_shared<ScriptedModel>("small", std::vector<chat::ScriptedTurn>{},
                                          chat::TaskInfo{"t", {"a", "b"}, 0.5, true});
  m.slm->say(sure("a", 0.8));
  DraftOptions o = draft_options();
  o.doubt = 0.8;
  auto reply = m.ask(make_draft(m.slm, m.llm, o), asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answered_by, "small");
  m.slm->say(sure("a", 0.7));
  m.llm->say(says({"b"}));
  reply = m.ask(make_draft(m.slm, m.llm, o), asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "b");
  EXPECT_THAT(m.llm->requests().at(0).choices, ElementsAre("a", "b"));
}

TEST(Draft, Failures) {
  Models m;
  m.slm->say(breaks(Code::kLimit));
  m.llm->say(says({"Paris"}));
  auto reply = m.ask(make_draft(m.slm, m.llm, draft_options()), asks("plain"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.asked_llm(), "plain");

  m.slm->say(with_tokens({{"Lyon", 0.1}}));
  m.llm->say(breaks(Code::kUnavailable));
  reply = m.ask(make_draft(m.slm, m.llm, draft_options()), asks("?"));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_EQ(reply->text, "Lyon");

  m.slm->say(with_tokens({{"Lyon", 0.1}}));
  m.llm->say(breaks(Code::kUnavailable, {"Par"}));
  EXPECT_FALSE(m.ask(make_draft(m.slm, m.llm, draft_options()), asks("?"))) << "text was passed on";

  DraftOptions strict = draft_options();
  strict.llm.on_failure = OnLlmFailure::kError;
  m.slm->say(with_tokens({{"Lyon", 0.1}}));
  m.llm->say(breaks(Code::kUnavailable));
  EXPECT_FALSE(m.ask(make_draft(m.slm, m.llm, strict), asks("?")));

  m.slm->say(says({"never"}, 10s));
  Request late = asks("?");
  late.deadline = std::chrono::steady_clock::now() + 20ms;
  reply = m.ask(make_draft(m.slm, m.llm, draft_options()), late);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kCancelled);
}

FilterOptions filter_options() {
  FilterOptions o;
  o.name = "team";
  o.by_paragraph = true;
  o.pick_prompt = "{question}|{text}";
  o.prompt = "{passages}Q: {question}";
  o.passage = "[{n}] {text}\n";
  o.parallel = 1;
  return o;
}

Request about(std::string material, std::string question) {
  Request r;
  r.messages = {{"system", "Be kind."}, {"user", std::move(material)}, {"user", std::move(question)}};
  return r;
}

TEST(Filter, HandsOnWhatMattersWithItsSource) {
  Models m;
  for (double yes : {0.1, 0.9, 0.2}) m.slm->say(sure(yes > 0.5 ? "yes" : "no", yes > 0.5 ? yes : 1 - yes));
  m.llm->say(says({"Blue [1], not green [2]."}));
  auto reply =
      m.ask(make_filter(m.slm, m.llm, filter_options()), about("one\n\nit is blue\n\nthree", "colour?"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(m.asked_slm(1), "colour?|it is blue");
  EXPECT_EQ(m.asked_llm(), "[1] it is blue\nQ: colour?");
  EXPECT_EQ(m.llm->requests().at(0).messages.at(0).content, "Be kind.");
  EXPECT_THAT(reply->notes, ElementsAre("1 of 3 parts of the material were handed on",
                                        "[1] message 2 (user), bytes 5 to 15",
                                        "the answer cites [2], which is none of the 1 passages"));
  EXPECT_THAT(reply->steps, SizeIs(4));
}

TEST(Filter, DoubtfulPartsGoOnToo) {
  Models m;
  m.slm->say(sure("no", 0.65));
  m.slm->say(sure("no", 0.75));
  m.llm->say(says({"x"}));
  ASSERT_TRUE(m.ask(make_filter(m.slm, m.llm, filter_options()), about("a\n\nb", "?")));
  EXPECT_EQ(m.asked_llm(), "[1] a\nQ: ?");
}

TEST(Filter, OneMessageEndsInItsQuestion) {
  Models m;
  m.slm->say(says({"yes"}));
  m.llm->say(says({"x"}));
  ASSERT_TRUE(m.ask(make_filter(m.slm, m.llm, filter_options()), asks("some\ntext\n\nAnd who?")));
  EXPECT_EQ(m.asked_slm(), "And who?|some\ntext");
  auto reply = m.ask(make_filter(m.slm, m.llm, filter_options()), Request{});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kInvalidArgument);
}

TEST(Filter, PartsThatAreTooLongAreHalvedAndWhatFailsGoesOn) {
  Models m;
  m.slm->say(breaks(Code::kLimit));
  m.slm->say(says({"no"}));
  m.slm->say(breaks(Code::kUnavailable));
  m.llm->say(says({"x"}));
  FilterOptions o = filter_options();
  o.by_paragraph = false;
  auto reply = m.ask(make_filter(m.slm, m.llm, o), about("first part. Second part", "?"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.asked_slm(1), "?|first part. ");
  EXPECT_EQ(m.asked_llm(), "[1] Second part\nQ: ?");
  EXPECT_THAT(reply->notes, Contains(HasSubstr("1 of them unread")));
}

TEST(Filter, QuotesHaveToStandInTheText) {
  Models m;
  FilterOptions o = filter_options();
  o.pick = FilterOptions::Pick::kQuote;
  m.slm->say(says({"the sky\nis  blue\n"}));
  m.slm->say(says({"NONE"}));
  m.slm->say(says({"made up"}));
  m.llm->say(says({"x"}));
  ASSERT_TRUE(
      m.ask(make_filter(m.slm, m.llm, o), about("Look, the sky is blue\n\nnothing\n\nmore text", "?")));
  EXPECT_EQ(m.asked_llm(), "[1] the sky\nis blue\n[2] more text\nQ: ?");
}

TEST(Filter, NothingMattersAndShortMaterial) {
  Models m;
  FilterOptions o = filter_options();
  m.slm->say(says({"no"}));
  m.llm->say(says({"x"}));
  ASSERT_TRUE(m.ask(make_filter(m.slm, m.llm, o), about("a", "?")));
  EXPECT_EQ(m.asked_llm(0), "Q: ?");
  o.all_if_none = true;
  m.slm->say(says({"no"}));
  m.llm->say(says({"x"}));
  ASSERT_TRUE(m.ask(make_filter(m.slm, m.llm, o), about("a", "?")));
  EXPECT_EQ(m.asked_llm(1), "[1] a\nQ: ?");
  o.direct_bytes = 10;
  m.llm->say(says({"x"}));
  ASSERT_TRUE(m.ask(make_filter(m.slm, m.llm, o), about("a", "?")));
  EXPECT_THAT(m.slm->requests(), SizeIs(2));
}

TEST(Filter, TheSlmAnswersWhenTheLlmFails) {
  Models m;
  m.slm->say(says({"yes"}));
  m.slm->say(says({"small answer"}));
  m.llm->say(breaks(Code::kUnavailable));
  auto reply = m.ask(make_filter(m.slm, m.llm, filter_options()), about("a", "?"));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_EQ(m.caller.text(), "small answer");
  EXPECT_EQ(m.asked_slm(1), "[1] a\nQ: ?");
}

CheckOptions check_options() {
  CheckOptions o;
  o.name = "team";
  o.check_prompt = "{claim}|{sources}";
  o.prompt = "{request}|{marked}|{unsupported}";
  o.parallel = 1;
  return o;
}

TEST(Check, MarksRemovesOrSendsUp) {
  Models m;
  CheckOptions o = check_options();
  auto script = [&] {
    m.slm->say(says({"It is red. It is big."}));
    m.slm->say(sure("yes", 0.9));
    m.slm->say(sure("no", 0.8));
  };
  script();
  auto reply = m.ask(make_check(m.slm, m.llm, o), asks("red thing"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "It is red. It is big. [unsupported]");
  EXPECT_EQ(m.asked_slm(2), "It is big.|red thing");
  EXPECT_THAT(reply->notes, ElementsAre("1 of 2 claims are supported"));
  EXPECT_THAT(m.llm->requests(), IsEmpty());

  script();
  o.then = CheckOptions::Then::kRemove;
  reply = m.ask(make_check(m.slm, m.llm, o), asks("red thing"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "It is red.");

  script();
  o.then = CheckOptions::Then::kSendUp;
  m.llm->say(says({"It is red."}));
  reply = m.ask(make_check(m.slm, m.llm, o), asks("red thing"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.asked_llm(), "red thing|It is red. It is big. [unsupported]|It is big.\n");
  EXPECT_EQ(reply->answered_by, "large");
  EXPECT_EQ(outcomes(reply)[0], "small: sent up");
}

TEST(Check, WhatIsSupportedStands) {
  Models m;
  CheckOptions o = check_options();
  o.by = CheckOptions::By::kWords;
  o.bound = 0.9;
  m.slm->say(says({"The parcel left on 5 May."}));
  auto reply = m.ask(make_check(m.slm, m.llm, o), asks("On 5 May the parcel left."));
  ASSERT_TRUE(reply);
  EXPECT_EQ(m.caller.text(), "The parcel left on 5 May.");
  m.slm->say(says({"The parcel left on 6 May."}));
  o.then = CheckOptions::Then::kRemove;
  m.llm->say(says({"On 5 May."}));
  reply = m.ask(make_check(m.slm, m.llm, o), asks("On 5 May the parcel left."));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "On 5 May.") << "nothing was left, so it was sent up";
}

TEST(Check, AClaimNeedsOnePartOfTheSourcesOnly) {
  Models m;
  CheckOptions o = check_options();
  o.by = CheckOptions::By::kLlm;
  o.chunk_bytes = 64;
  m.slm->say(says({"One. Two."}));
  m.llm->say(says({"yes"}));
  m.llm->say(says({"no"}));
  m.llm->say(says({"yes"}));
  std::string source = std::string(60, 'a') + " " + std::string(40, 'b');
  auto reply = m.ask(make_check(m.slm, m.llm, o), asks(source));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "One. Two.");
  EXPECT_EQ(m.asked_llm(2), "Two.|" + std::string(40, 'b'));
}

TEST(Check, Failures) {
  Models m;
  m.slm->say(says({"One."}));
  m.slm->say(breaks(Code::kUnavailable));
  auto reply = m.ask(make_check(m.slm, m.llm, check_options()), asks("x"));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_EQ(reply->text, "One.");

  CheckOptions strict = check_options();
  strict.llm.on_failure = OnLlmFailure::kError;
  m.slm->say(says({"One."}));
  m.slm->say(breaks(Code::kUnavailable));
  EXPECT_FALSE(m.ask(make_check(m.slm, m.llm, strict), asks("x")));

  CheckOptions up = check_options();
  up.then = CheckOptions::Then::kSendUp;
  m.slm->say(says({"One."}));
  m.slm->say(says({"no"}));
  m.llm->say(breaks(Code::kUnavailable));
  reply = m.ask(make_check(m.slm, m.llm, up), asks("x"));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->unverified);
  EXPECT_EQ(reply->text, "One. [unsupported]");

  m.slm->say(breaks(Code::kLimit));
  m.llm->say(says({"large"}));
  reply = m.ask(make_check(m.slm, m.llm, up), asks("x"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "large");
}

TEST(Pipelines, RefuseWhatMakesNoSense) {
  Models m;
  DraftOptions d = draft_options();
  d.prompt = "{question}";
  EXPECT_THAT(make_draft(m.slm, m.llm, d).error().message,
              HasSubstr("team 'team': prompt: found {question}"));
  FilterOptions f = filter_options();
  f.chunk_bytes = 1;
  EXPECT_THAT(make_filter(m.slm, m.llm, f).error().message, HasSubstr("chunk_bytes is 1"));
  CheckOptions c = check_options();
  c.bound = -1;
  EXPECT_THAT(make_check(m.slm, m.llm, c).error().message, HasSubstr("bound is -1"));
  EXPECT_FALSE(make_check(nullptr, m.llm, check_options()));
}

}  // namespace
}  // namespace bantam::collab
