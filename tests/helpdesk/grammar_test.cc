// The grammar language: what it means, and what it refuses with which line.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ticket_corpus.h"
#include "ticket_grammar.h"
#include "ticket_noise.h"

namespace bantam::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Two intents and a frame, on lines 1 to 8; what follows begins in line 9.
constexpr std::string_view kSmall =
    "intent stay\n.do\n    stay\nintent leave\n.do\n    leave\nframe plain 1\n    {A.do} now\n";

std::string with(std::string_view more) { return std::string(kSmall) + std::string(more); }

struct Bad {
  std::string text;
  size_t line;
  std::string says;
};

TEST(Grammar, RefusesWithLineNumber) {
  const std::vector<Bad> cases = {
      {with("rule a\n    x"), 9, "used nowhere"},
      {with("rule a\nrule b"), 9, "no alternatives"},
      {with("frame f 1\n    {nothing}"), 10, "no rule \"nothing\""},
      {with("frame f 1\n    {A.say}"), 10, "no intent has the form .say"},
      {with("intent go\n.say\n    x\nframe f 1\n    {B.say}"), 1, "lacks .say"},
      {with("frame f 1\n    {A.do"), 10, "not closed"},
      {with("frame f 1\n    (a|b"), 10, "before the end of the line"},
      {with("frame f 1\n    a) b"), 10, "closes nothing"},
      {with("frame f 1\n    [200: a]"), 10, "not a percentage"},
      {with("frame f 1\n    (a)"), 10, "one choice"},
      {with("frame f 1\n    {A do}"), 10, "is none of"},
      {with("frame f 1\n    0* a"), 10, "not a positive number"},
      {with("frame f 1\n    a\\"), 10, "after it"},
      {with("frame f 1\n    {$x}"), 10, "nothing sets the variable \"$x\""},
      {with("frame f zero"), 9, "frame name weight"},
      {with("frame plain 1\n    a"), 9, "already defined in line 7"},
      {with("intent stay"), 9, "already defined in line 1"},
      {with("intent go\n.near far"), 9, "not another intent"},
      {with("intent go\n.share -1"), 10, ".share number"},
      {with("intent go\n.note\n    x"), 10, "no frame uses the form"},
      {with("intent go"), 9, "no frame can express"},
      {with("rule a\n    {b}\nrule b\n    {a}\nframe f 1\n    {a}"), 9, "contains itself"},
      {with("rule a\n    {A.do}\nframe f 1\n    {a}"), 10, "outside a frame"},
      {with("set speed 1"), 9, "no setting \"speed\""},
      {with("set typo 1.5"), 9, "from 0 to 1"},
      {with("phrase a"), 9, "not a directive"},
      {"    lost", 1, "before any rule"},
      {".do\n    x", 1, "before any intent"},
      {"", 0, "found 0 intents"},
      {"intent a\n.do\n    x\nintent b\n.do\n    y\n", 6, "found no frame"},
  };
  for (const Bad& bad : cases) {
    auto parsed = parse_grammar(bad.text, "t");
    ASSERT_FALSE(parsed.has_value()) << bad.text;
    EXPECT_EQ(parsed.error().code, Code::kCorrupt);
    EXPECT_THAT(parsed.error().message,
                AllOf(StartsWith(fmt::format("t:{}: ", bad.line)), HasSubstr(bad.says)));
  }
}

TEST(Grammar, NestsOnlySoDeep) {
  auto parsed = parse_grammar(with("frame f 1\n    " + std::string(10000, '[')), "t");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_THAT(parsed.error().message, HasSubstr("deeper than"));
}

// All texts that the rules and frames of `more` make for the intent "stay", as far as many draws find them.
// The frame that uses every form, so that none is unused, is too rare to be drawn.
std::set<std::string> texts_of(const std::string& more) {
  auto grammar = parse_grammar(
      "intent stay\n.do\n    stay\nintent leave\n.do\n    leave\nframe rare 0.000000001\n    {A.do}\n" + more,
      "t");
  if (!grammar) return {grammar.error().message};
  std::set<std::string> texts;
  for (uint64_t n = 0; n < 400; ++n) {
    Rng rng(1, n);
    auto ticket = draw_ticket(*grammar, 0, rng);
    texts.insert(ticket ? ticket->text : ticket.error().message);
  }
  return texts;
}

TEST(Grammar, Expands) {
  using Texts = std::set<std::string>;
  EXPECT_EQ(texts_of("frame f 1\n    {A.do} , not {B.do} ."), (Texts{"Stay, not leave."}));
  EXPECT_EQ(texts_of("frame f 1\n    a [b|c]"), (Texts{"A", "A b", "A c"}));
  EXPECT_EQ(texts_of("frame f 1\n    (a|b). () c"), (Texts{"A. C", "B. C"}));
  EXPECT_EQ(texts_of("frame f 1\n    \\(a\\|b\\)\\nc"), (Texts{"(A|b)\nC"}));
  EXPECT_EQ(texts_of("rule p\n    x\n    y\nframe f 1\n    {a=p}{b=p}{$a}"), (Texts{"Xyx", "Yxy"}));
  EXPECT_EQ(texts_of("rule p\n    x\n    y\nframe f 1\n    {a:=@p}{b:=$a's}{$b} {$a}"),
            (Texts{"X's x", "Y's y"}));
  EXPECT_EQ(texts_of("frame f 1\n    1000000* {A.do}\n    0.000001* never"), (Texts{"Stay"}));
}

TEST(Grammar, VariableOfAnotherFormIsRefusedWhenDrawn) {
  auto grammar =
      parse_grammar("intent a\n.do\n    {x:=1}y\nintent b\n.do\n    z\nframe f 1\n    {A.do} {$x}\n", "t");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
  Rng rng(1);
  auto ticket = draw_ticket(*grammar, 0, rng);
  ASSERT_FALSE(ticket.has_value());
  EXPECT_THAT(ticket.error().message, AllOf(StartsWith("t:8: "), HasSubstr("\"$x\"")));
}

TEST(Corpus, RefusesContradictionsAndExhaustion) {
  auto same = parse_grammar("intent a\n.do\n    x\nintent b\n.do\n    X!\nframe f 1\n    {A.do}", "t");
  ASSERT_TRUE(same.has_value());
  auto corpus = make_corpus(*same, 2, 1);
  ASSERT_FALSE(corpus.has_value());
  EXPECT_THAT(corpus.error().message, HasSubstr("both a (line 8) and b (line 8)"));

  auto small = parse_grammar(kSmall, "t");
  corpus = make_corpus(*small, 10, 1);
  ASSERT_FALSE(corpus.has_value());
  EXPECT_THAT(corpus.error().message,
              AllOf(StartsWith("t:1: "), HasSubstr("\"stay\" ran out"), HasSubstr("4 short")));
  EXPECT_FALSE(make_corpus(*small, 1, 1).has_value());
}

TEST(Noise, KeepsWhatTheLabelHangsOn) {
  auto grammar =
      parse_grammar(with("set typo 1\nset abbreviate 1\nset run_on 1\nset lower 0.5\nkeep before second\n"
                         "abbrev please pls\n"),
                    "t");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
  size_t changed = 0;
  for (uint64_t n = 0; n < 200; ++n) {
    Rng rng(7, n);
    std::string noisy =
        normal_form(add_noise("Before that, not this. Second, please transfer it.", *grammar, rng));
    EXPECT_THAT(noisy, AllOf(StartsWith("before that not this second "), HasSubstr(" it")));
    changed += noisy.find("transfer") == std::string::npos;
  }
  EXPECT_GT(changed, 100u);
}

TEST(Noise, NormalFormIgnoresWhatReadersDo) {
  EXPECT_EQ(normal_form("  Don't PANIC,\nplease! "), "dont panic please");
  EXPECT_EQ(normal_form("..."), "");
}

}  // namespace
}  // namespace bantam::tools
