#include "formats/json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace bantam::formats {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace bantam::formats
