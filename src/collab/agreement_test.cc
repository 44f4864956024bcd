#include "collab/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collab/hold_back.h"

namespace bantam::collab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NormalWords, FoldsCaseFormsAndPunctuation) {
  EXPECT_THAT(normal_words("The  **Straße**, \"don't\" panic."),
              ElementsAre("the", "strasse", "dont", "panic"));
  EXPECT_THAT(normal_words("at 19:30 on 05-03 for 3.50 $"),
              ElementsAre("at", "19:30", "on", "05-03", "for", "3.50", "$"));
  EXPECT_THAT(normal_words("ends in 7. Then 8, 9- and 1..2"),
              ElementsAre("ends", "in", "7", "then", "8", "9", "and", "1", "2"));
  EXPECT_THAT(normal_words("name=Kim\u00A0\uFF14"), ElementsAre("name=kim", "4"));
  EXPECT_THAT(normal_words(" \n"), IsEmpty());
  EXPECT_THAT(normal_words("a\xFF"), ElementsAre("a\xFF"));
}

TEST(Compare, NormalisedEndsEarlyAndAgreesOnlyWhole) {
  Agreement a{Measure::kNormalised};
  EXPECT_EQ(compare_texts(a, "Paris.", true, "  paris", true), Match::kAgree);
  EXPECT_EQ(compare_texts(a, "Paris", true, "Lyon", true), Match::kDisagree);
  EXPECT_EQ(compare_texts(a, "It is Par", false, "It is Lyon, I", false), Match::kOpen)
      << "the last word may grow";
  EXPECT_EQ(compare_texts(a, "It is Paris, I think", false, "It is Lyon, I", false), Match::kDisagree);
  EXPECT_EQ(compare_texts(a, "at 19", false, "at 19:30", true), Match::kOpen);
  EXPECT_EQ(compare_texts(a, "It is Paris", true, "It is Paris and no", false), Match::kDisagree)
      << "too long already";
  EXPECT_EQ(compare_texts(a, "It is Paris", true, "It is", false), Match::kOpen);
  EXPECT_EQ(compare_texts(a, "", true, "", true), Match::kAgree);
}

TEST(Compare, EqualTrimsOnly) {
  Agreement a{Measure::kEqual};
  EXPECT_EQ(compare_texts(a, " yes\n", true, "yes", true), Match::kAgree);
  EXPECT_EQ(compare_texts(a, "Yes", true, "yes", true), Match::kDisagree);
  EXPECT_EQ(compare_texts(a, "ye", false, "yes", true), Match::kOpen);
  EXPECT_EQ(compare_texts(a, "yes it", false, "yes", true), Match::kDisagree);
  EXPECT_EQ(compare_texts(a, "no", false, "yes", false), Match::kDisagree);
}

TEST(Compare, WordsNeedTheSameNumbers) {
  Agreement a{Measure::kWords, 0.7};
  EXPECT_EQ(compare_texts(a, "Your parcel comes on 5 May.", true, "The parcel comes on 5 May", true),
            Match::kAgree);
  EXPECT_EQ(compare_texts(a, "Your parcel comes on 5 May.", true, "Your parcel comes on 6 May.", true),
            Match::kDisagree);
  EXPECT_EQ(compare_texts(a, "Your parcel comes", false, "No", true), Match::kOpen);
  EXPECT_EQ(compare_texts({Measure::kJudge}, "a", true, "b", true), Match::kOpen);
}

TEST(WordOverlap, IsF1) {
  std::vector<std::string> a{"x", "y", "y"}, b{"y", "z"};
  EXPECT_DOUBLE_EQ(word_overlap(a, b), 2.0 / 5);
  EXPECT_DOUBLE_EQ(word_overlap({}, {}), 1);
}

TEST(SameCalls, ComparesArgumentsAsJson) {
  std::vector<chat::ToolCall> a{{"1", "pay", R"({"to":"kim","sum":5})"}},
      b{{"2", "pay", R"({ "sum": 5, "to": "kim" })"}};
  EXPECT_TRUE(same_calls(a, b));
  b[0].arguments = R"({"sum":6,"to":"kim"})";
  EXPECT_FALSE(same_calls(a, b));
  b[0].arguments = a[0].arguments = "{broken";
  EXPECT_TRUE(same_calls(a, b));
  a[0].arguments = "{also broken";
  EXPECT_FALSE(same_calls(a, b));
  b[0].name = "pray";
  EXPECT_FALSE(same_calls(a, b));
  EXPECT_FALSE(same_calls(a, {}));
}

TEST(HoldBack, KeepsTheLastPieces) {
  HoldBack two(2);
  EXPECT_EQ(two.push("a"), "");
  EXPECT_EQ(two.push("b"), "");
  EXPECT_EQ(two.push("c"), "a");
  EXPECT_EQ(two.released(), "a");
  EXPECT_EQ(two.flush(), "bc");
  EXPECT_EQ(two.released(), "abc");
  HoldBack none(0);
  EXPECT_EQ(none.push("a"), "a");
}

}  // namespace
}  // namespace bantam::collab
