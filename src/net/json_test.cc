#include "net/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "net/json_text.h"

namespace bantam::net {
namespace {

TEST(Json, ParsesAndWrites) {
  auto value = parse_json(R"({"a":[1,-2.5,true,null,"\u00e9"],"b":{"a":{}}})", "body");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(to_text(*value), "{\"a\":[1,-2.5,true,null,\"\xC3\xA9\"],\"b\":{\"a\":{}}}");
  EXPECT_EQ(to_text(nlohmann::json("\xFF")), "\"\xEF\xBF\xBD\"");
}

TEST(Json, KeepsTheOrderOfMembers) {
  const char* text = R"({"z":1,"a":{"y":[],"b":{"d":2,"c":3}},"m":"x"})";
  auto value = parse_ordered_json(text, "body");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(ordered_text(*value), text);
  EXPECT_FALSE(parse_ordered_json(R"({"a":{"b":1,"c":2,"b":3}})", "body"));
  EXPECT_FALSE(parse_ordered_json(std::string(65, '['), "body"));
  std::string many = "{";
  for (int i = 0; i < 100'000; ++i) many += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  auto parsed = parse_ordered_json(many + "}", "body");  // in a time that does not grow with the square
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->size(), 100'000u);
}

/// The two parsers give one value or one error.
void expect_same(const std::string& text) {
  const auto here = parse_json(text, "body"), there = formats::parse_json(text, "body");
  ASSERT_EQ(here.has_value(), there.has_value()) << text;
  if (here) {
    EXPECT_EQ(*here, *there) << text;
    EXPECT_EQ(to_text(*here), to_text(*there)) << text;
  } else {
    EXPECT_EQ(here.error().message, there.error().message) << text;
    EXPECT_EQ(here.error().code, there.error().code) << text;
  }
  const auto ordered = parse_ordered_json(text, "body"), other = formats::parse_ordered_json(text, "body");
  ASSERT_EQ(ordered.has_value(), other.has_value()) << text;
  if (ordered) {
    EXPECT_EQ(ordered_text(*ordered), ordered_text(*other)) << text;
  }
}

TEST(Json, IsReadAsNlohmannsParserReadsIt) {
  for (const char* text : {"",
                           " ",
                           "1",
                           "-0",
                           "-1",
                           "0.1",
                           "1e5",
                           "1E-400",
                           "1e999",
                           "18446744073709551615",
                           "18446744073709551616",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "123456789012345678901234567890",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "-",
                           "true",
                           "tru",
                           "null",
                           "nan",
                           "\"\"",
                           "\"a",
                           "\"\\u0000\"",
                           "\"\\ud83d\\ude00\"",
                           "\"\\ud83d\"",
                           "\"\\udc00\"",
                           "\"\t\"",
                           "\"\x7f\"",
                           "\"\xc3\xa9\"",
                           "\"\xc3\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\xc0\xaf\"",
                           "[]",
                           "[1,]",
                           "[,]",
                           "[1 2]",
                           "[[[]]]",
                           "{}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":1,\"a\":2}",
                           "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"x\"}",
                           "{\"b\":1,\"a\":2}",
                           "[1]x",
                           "[1] \n\r\t",
                           "\xef\xbb\xbf[1]",
                           "\xff",
                           "// x\n1"})
    expect_same(text);
  expect_same(std::string(64, '[') + std::string(64, ']'));
  expect_same(std::string(65, '[') + std::string(65, ']'));
  expect_same(std::string(2000, '[') + std::string(2000, ']'));
  expect_same("\"" + std::string(1 << 17, 'x') + "\"");
  expect_same(std::string("[1\0]", 4));
  const std::string start =
      R"({"model":"m","messages":[{"role":"user","content":"What is \"it\"?\n\u00e9"}],"n":12,"t":0.7,"s":true,"x":null,"a":[-1,2e3]})";
  Rng rng(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text = start;
    for (uint64_t k = 0; k <= rng.below(3); ++k) {
      const size_t at = rng.below(text.size());
      switch (rng.below(3)) {
        case 0:
          text.erase(at, 1 + rng.below(4));
          break;
        case 1:
          text[at] = static_cast<char>(rng.below(256));
          break;
        default:
          text.insert(at, 1, R"({}[],:"\0-.eE5 tu)"[rng.below(19)]);
      }
      if (text.empty()) break;
    }
    expect_same(text);
  }
}

TEST(JsonText, WritesWhatTheParserReads) {
  JsonText out;
  out.open('{').key("a b").text("x\n\xC3\xA9\xFF\x7f").key("list").open('[').close(']');
  out.key("more").open('[').whole(1).number(0.1).number(0.7F).flag(true).null().raw("{\"r\":2}").close(']');
  out.key("").text("").key("big").number(1e300).key("none").number(std::nan("")).close('}');
  std::string text = out.take();
  auto value = parse_json(text, "text");
  ASSERT_TRUE(value) << text;
  EXPECT_EQ(to_text(*value),
            "{\"\":\"\",\"a b\":\"x\\n\xC3\xA9\xEF\xBF\xBD\x7f\",\"big\":1e+300,\"list\":[],"
            "\"more\":[1,0.1,0.7,true,null,{\"r\":2}],\"none\":null}");
  EXPECT_EQ(out.take(), "");
}

TEST(JsonText, WritesEveryByteAsTheTreeDoes) {
  for (int c = 0; c < 256; ++c) {
    for (std::string text :
         {std::string(1, static_cast<char>(c)), "ab" + std::string(2, static_cast<char>(c)) + "z"}) {
      JsonText out;
      EXPECT_EQ(out.text(text).take(), to_text(nlohmann::json(text))) << c;
    }
  }
}

TEST(JsonText, NumbersKeepEveryBit) {
  for (double value :
       {0.0, -0.0, 1.0, 1.0 / 3, 1e-7, 123456789.125, 1e22, 5e-324, std::numeric_limits<double>::max()}) {
    JsonText out;
    EXPECT_EQ(parse_json(out.number(value).take(), "number")->get<double>(), value);
  }
}

}  // namespace
}  // namespace bantam::net
