#include "text/ngrams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bantam::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> words(std::string_view text, int min, int max) {
  std::vector<std::string> found;
  LowerText(text).word_ngrams(min, max, [&](std::string_view ngram) { found.emplace_back(ngram); });
  return found;
}

std::vector<std::string> characters(std::string_view text, int min, int max) {
  std::vector<std::string> found;
  LowerText(text).char_ngrams(min, max, [&](std::string_view ngram) { found.emplace_back(ngram); });
  return found;
}

TEST(Ngrams, WordsHaveTwoLettersAtLeast) {
  EXPECT_THAT(words("I can't PAY, ok?", 1, 2), ElementsAre("can", "pay", "ok", "can pay", "pay ok"));
  EXPECT_THAT(words("ÜBER_9 \xC3\x89t\xC3\xA9", 1, 1), ElementsAre("über_9", "été"));
  EXPECT_THAT(words("", 1, 2), ElementsAre());
  EXPECT_THAT(words("a b c", 1, 2), ElementsAre());
}

TEST(Ngrams, CharactersStayWithinPaddedWords) {
  EXPECT_THAT(characters("No a", 2, 3), ElementsAre(" n", "no", "o ", " no", "no ", " a", "a ", " a "));
  // " a " is shorter than 4 and 5: it counts once.
  EXPECT_THAT(characters("a", 4, 5), ElementsAre(" a "));
  EXPECT_THAT(characters("\t\n ", 2, 5), ElementsAre());
  EXPECT_THAT(characters("é", 2, 2), ElementsAre(" é", "é "));
}

TEST(Ngrams, BrokenUtf8BecomesAReplacementCharacter) {
  EXPECT_THAT(characters("\xff", 3, 3), ElementsAre(" \xEF\xBF\xBD "));
}

}  // namespace
}  // namespace bantam::text
