#include "net/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

}  // namespace
}  // namespace bantam::net
