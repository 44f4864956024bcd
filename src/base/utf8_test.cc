#include "base/utf8.h"

#include <gtest/gtest.h>

namespace bantam {
namespace {

TEST(Utf8, EveryCodePointRoundTrips) {
  for (uint32_t code = 0; code <= 0x10FFFF; ++code) {
    std::string text;
    append_utf8(text, code);
    Utf8Char front = utf8_front(text);
    if (code >= 0xD800 && code < 0xE000) {
      EXPECT_EQ(front.length, 0);
      continue;
    }
    ASSERT_EQ(front.length, static_cast<int>(text.size())) << code;
    ASSERT_EQ(front.code, code);
    for (size_t n = 1; n < text.size(); ++n) ASSERT_TRUE(utf8_front(std::string_view(text).substr(0, n)).cut);
  }
}

TEST(Utf8, IllFormedSequences) {
  for (std::string_view text :
       {"\x80", "\xC0\xAF", "\xC1\x80", "\xE0\x9F\x80", "\xED\xA0\x80", "\xF0\x8F\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3\x28", "\xE2\x28\xA1"}) {
    EXPECT_EQ(utf8_front(text).length, 0);
    EXPECT_FALSE(utf8_front(text).cut);
  }
  EXPECT_EQ(find_broken_utf8("a\xC3\xA9z\xFFq"), 4U);
  EXPECT_EQ(find_broken_utf8("a\xC3\xA9\xE2\x82"), 3U);
  EXPECT_EQ(find_broken_utf8("a\xC3\xA9"), std::string_view::npos);
  EXPECT_EQ(utf8_front("").length, 0);
  EXPECT_FALSE(utf8_front("").cut);
}

TEST(Utf8, CutsAndCountsCharacters) {
  const std::string text = "a\xC3\xA9\xF0\x9F\x90\x93z";
  const size_t cuts[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
  for (size_t at = 0; at < std::size(cuts); ++at) EXPECT_EQ(utf8_cut(text, at), cuts[at]) << at;
  EXPECT_EQ(utf8_length(text), 4U);
  EXPECT_EQ(utf8_cut("", 3), 0U);
  EXPECT_EQ(utf8_cut("\x80\x80", 1), 0U);
}

}  // namespace
}  // namespace bantam
