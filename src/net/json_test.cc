#include "net/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

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
