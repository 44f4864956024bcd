#include "formats/toml_reader.h"

#include <gmock/gmock.h>

namespace bantam::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TomlReader, ReadsTypedValues) {
  auto file = TomlTable::parse(
      "a = 1\nb = 'x'\nc = true\n[d]\ne = 0.5\nf = ['y', 'z']\n[[g]]\nh = 2\n[[g]]\nh = 3\n", "t.toml");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->whole("a", 0, 0, 9), 1U);
  EXPECT_EQ(file->text("b", ""), "x");
  EXPECT_TRUE(file->flag("c", false));
  TomlTable d = file->table("d");
  EXPECT_EQ(d.number("e", 0, 0, 1), 0.5);
  EXPECT_THAT(d.texts("f"), ElementsAre("y", "z"));
  auto g = file->tables("g");
  ASSERT_EQ(g.size(), 2U);
  EXPECT_EQ(g[0].whole("h", 0, 0, 9) + g[1].whole("h", 0, 0, 9), 5U);
  EXPECT_EQ(file->table("absent").number("x", 7, 0, 9), 7);
  EXPECT_TRUE(file->finish());
}

std::string error_of(std::string_view text, auto&& read) {
  auto file = TomlTable::parse(text, "t.toml");
  if (!file) return file.error().message;
  read(*file);
  auto status = file->finish();
  return status ? "" : status.error().message;
}

TEST(TomlReader, NamesFileLineKeyFoundAndExpected) {
  EXPECT_EQ(error_of("\na = 'x'\n", [](TomlTable& t) { t.whole("a", 0, 0, 9); }),
            "t.toml, line 2, a: found a text, expected a whole number");
  EXPECT_EQ(error_of("a = 11\n", [](TomlTable& t) { t.whole("a", 0, 0, 9); }),
            "t.toml, line 1, a: found 11, expected 0 to 9");
  EXPECT_EQ(error_of("a = -1\n", [](TomlTable& t) { t.whole("a", 0, 0, 9); }),
            "t.toml, line 1, a: found -1, expected 0 to 9");
  EXPECT_EQ(error_of("[s]\nb = 1\n", [](TomlTable& t) { t.table("s").whole("a", 0, 0, 9); }),
            "t.toml, line 2, s.b: unknown key, expected one of: a");
  EXPECT_EQ(error_of("s = 3\n", [](TomlTable& t) { t.table("s"); }),
            "t.toml, line 1, s: found a whole number, expected a table");
  EXPECT_THAT(error_of("a = \n", [](TomlTable&) {}), HasSubstr("t.toml, line 1, column"));
}

}  // namespace
}  // namespace bantam::formats
