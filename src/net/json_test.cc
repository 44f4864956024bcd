#include "net/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "net/json_text.h"

namespace bantam::net {
namespace {

using testing::HasSubstr;

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

TEST(Json, RefusesWhatIsBrokenDeepOrAmbiguous) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":1}x", "nul", "\"\xFF\"", "\"\\ud800\"", "1e999", "{'a':1}"}) {
    auto value = parse_json(text, "body");
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code, Code::kCorrupt) << text;
    EXPECT_THAT(value.error().message, testing::StartsWith("body: "));
  }
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']'), "body"));
  auto deep = parse_json(std::string(1'000'000, '['), "body");
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Code::kLimit);
  auto twice = parse_json(R"({"a":1,"a":2})", "body");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("'a' stands twice"));
}

TEST(Json, ManyKeysTwiceAreFoundInBothKinds) {
  for (int members : {2, 15, 16, 17, 40}) {
    std::string text = "{";
    for (int i = 0; i < members; ++i) text += fmt::format("\"k{}\":{{\"x\":{}}},", i, i);
    EXPECT_TRUE(parse_json(text + "\"z\":1}", "body"));
    EXPECT_TRUE(parse_ordered_json(text + "\"z\":1}", "body"));
    for (int twice : {0, members - 1}) {
      for (const char* value : {"1", "[]", "{\"y\":2}"}) {
        std::string bad = text + fmt::format("\"k{}\":{}}}", twice, value);
        auto one = parse_json(bad, "body");
        auto other = parse_ordered_json(bad, "body");
        ASSERT_FALSE(one) << bad;
        ASSERT_FALSE(other) << bad;
        EXPECT_THAT(one.error().message, HasSubstr(fmt::format("'k{}' stands twice", twice)));
        EXPECT_EQ(other.error().message, one.error().message);
      }
    }
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
