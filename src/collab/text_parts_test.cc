// Chunks, claims and prompt templates: how the pipelines take texts apart and put them together.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "collab/chunks.h"
#include "collab/claims.h"
#include "collab/prompt_template.h"

namespace bantam::collab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> texts(std::span<const std::string> sources, std::span<const Chunk> chunks) {
  std::vector<std::string> out;
  for (const Chunk& c : chunks) out.push_back(sources[c.source].substr(c.begin, c.end - c.begin));
  return out;
}

TEST(Chunks, EndAtTheBestBorder) {
  std::vector<std::string> s{"One two. Three four.\n\nFive six seven.\nEight", " \n", "x"};
  EXPECT_THAT(texts(s, cut(s, 26)), ElementsAre("One two. Three four.\n\n", "Five six seven.\nEight", "x"));
  EXPECT_THAT(texts(s, cut(s, 16)),
              ElementsAre("One two. ", "Three four.\n\n", "Five six seven.\n", "Eight", "x"));
}

TEST(Chunks, LoseNothingAndNeverPartACharacter) {
  Rng rng(7);
  const std::vector<std::string> pieces{
      "word ", "x", ". ", "\n", "\n\n", "é", "日本", "\xF0\x9F\x98\x80", "longerwordwithout"};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> sources(1 + rng.below(3));
    for (std::string& source : sources) {
      for (size_t i = rng.below(60); i > 0; --i) source += pieces[rng.below(pieces.size())];
    }
    size_t limit = 4 + rng.below(40);
    std::vector<std::string> joined(sources.size());
    for (const Chunk& c : cut(sources, limit)) {
      ASSERT_LE(c.end - c.begin, limit);
      ASSERT_LT(c.begin, c.end);
      ASSERT_EQ(joined[c.source].size(), c.begin);
      joined[c.source] += sources[c.source].substr(c.begin, c.end - c.begin);
      ASSERT_NE(static_cast<unsigned char>(sources[c.source][c.begin]) & 0xC0, 0x80);
    }
    for (size_t i = 0; i < sources.size(); ++i) {
      if (sources[i].find_first_not_of(" \n") != std::string::npos) {
        ASSERT_EQ(joined[i], sources[i]);
      }
    }
  }
}

TEST(Chunks, Halve) {
  std::string text = "one two three four";
  auto halves = halved(text, {0, 0, text.size()});
  ASSERT_TRUE(halves);
  EXPECT_EQ(halves->first.end, halves->second.begin);
  EXPECT_EQ(text.substr(0, halves->first.end), "one two ");
  EXPECT_FALSE(halved("x", {0, 0, 1}));
  EXPECT_FALSE(halved("é", {0, 0, 2}));
}

TEST(Paragraphs, AreLinesWhereThereAreNoEmptyOnes) {
  EXPECT_THAT(paragraphs("a\nb\n"), ElementsAre("a", "b"));
  EXPECT_THAT(paragraphs("a\nb\n\n\n c"), ElementsAre("a\nb", "c"));
  EXPECT_THAT(paragraphs("\n \n"), IsEmpty());
}

std::vector<std::string> claims(std::string_view text, ClaimSplit split) {
  std::vector<std::string> out;
  for (const Claim& c : claims_of(text, split)) out.emplace_back(c.of(text));
  return out;
}

TEST(Claims, OfProse) {
  EXPECT_THAT(
      claims("Dr. Kim left at 3.30 p.m. on Monday. He paid! Who knows? \"It rained.\" Then J. Doe came.",
             ClaimSplit::kSentences),
      ElementsAre("Dr. Kim left at 3.30 p.m. on Monday.", "He paid!", "\"It rained.\"", "Then J. Doe came."));
  EXPECT_THAT(claims("# Title\n- one\n- two. Three\n---\n", ClaimSplit::kSentences),
              ElementsAre("- one", "- two.", "Three"));
  EXPECT_THAT(claims("a. B\nc", ClaimSplit::kLines), ElementsAre("a. B", "c"));
  EXPECT_THAT(claims(" name=Kim  guests=4\n", ClaimSplit::kWords), ElementsAre("name=Kim", "guests=4"));
}

std::string cleaned(std::string_view text, std::vector<bool> keep, Unsupported what,
                    ClaimSplit split = ClaimSplit::kSentences) {
  auto parts = claims_of(text, split);
  EXPECT_EQ(parts.size(), keep.size());
  std::unique_ptr<bool[]> flags(new bool[keep.size()]);
  std::copy(keep.begin(), keep.end(), flags.get());
  return without_unsupported(text, parts, {flags.get(), keep.size()}, what, " [?]");
}

TEST(Claims, AreMarkedOrRemoved) {
  std::string_view text = "It is red. It is big. It is old.";
  EXPECT_EQ(cleaned(text, {true, false, true}, Unsupported::kMark), "It is red. It is big. [?] It is old.");
  EXPECT_EQ(cleaned(text, {true, false, true}, Unsupported::kRemove), "It is red. It is old.");
  EXPECT_EQ(cleaned(text, {true, true, false}, Unsupported::kRemove), "It is red. It is big.");
  EXPECT_EQ(cleaned(text, {false, false, false}, Unsupported::kRemove), "");
  EXPECT_EQ(cleaned("List:\n1. one\n2. two\nEnd", {true, true, false, true}, Unsupported::kRemove,
                    ClaimSplit::kLines),
            "List:\n1. one\nEnd");
  EXPECT_EQ(cleaned(text, {true, true, true}, Unsupported::kRemove), text);
}

TEST(LexicalSupport, CountsWordsAndInsistsOnNumbers) {
  EXPECT_DOUBLE_EQ(lexical_support("The parcel left Oslo on 5 May.", "On 5 May the parcel left Oslo."), 1);
  EXPECT_DOUBLE_EQ(lexical_support("The parcel left Oslo on 6 May.", "On 5 May the parcel left Oslo."), 0);
  EXPECT_DOUBLE_EQ(lexical_support("parcel blue", "The parcel"), 0.5);
  EXPECT_DOUBLE_EQ(lexical_support("!", ""), 1);
}

constexpr std::string_view kKnown[] = {"request", "draft"};
constexpr std::string_view kNeeded[] = {"request"};

TEST(PromptTemplate, FillsPlacesOnceAndKeepsBraces) {
  auto t = PromptTemplate::parse("{{x}} {request}\n~ {draft}{request}", kKnown, kNeeded);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->fill({{"request", "{draft}"}, {"draft", "d"}}), "{x} {draft}\n~ d{draft}");
  EXPECT_TRUE(t->has("draft"));
}

TEST(PromptTemplate, SaysWhatIsWrong) {
  auto message = [](std::string_view text) {
    return PromptTemplate::parse(text, kKnown, kNeeded).error().message;
  };
  EXPECT_THAT(message("{request} {drift}"), HasSubstr("found {drift}, expected one of {request}, {draft}"));
  EXPECT_THAT(message("{draft}"), HasSubstr("found no {request}"));
  EXPECT_THAT(message("{request} }"), HasSubstr("single '}' at byte 10"));
  EXPECT_THAT(message("{request"), HasSubstr("single '{' at byte 0"));
}

}  // namespace
}  // namespace bantam::collab
