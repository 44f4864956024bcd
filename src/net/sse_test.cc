#include "net/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bantam::net {
namespace {

using testing::ElementsAre;

std::vector<std::string> parse(const std::vector<std::string_view>& pieces) {
  SseParser parser;
  std::vector<std::string> out;
  for (std::string_view piece : pieces) {
    auto status = parser.feed(piece, [&](SseEvent&& e) {
      out.push_back(e.event + "|" + e.data + "|" + e.id);
      return true;
    });
    EXPECT_TRUE(status);
  }
  return out;
}

const std::string kStream =
    "\xEF\xBB\xBF"
    ": a comment\r\n"
    "data: one\r\n\r\n"
    "event: kind\ndata:two\ndata\ndata:  three\nid: 7\n\n"
    "data: caf\xC3\xA9\r\rretry: 10\n\nevent: lost\n\nid\ndata: {\"a\":1}\n\ndata: unfinished";

TEST(Sse, EventsDoNotDependOnWhereThePiecesEnd) {
  auto whole = parse({kStream});
  ASSERT_THAT(whole, ElementsAre("message|one|", "kind|two\n\n three|7", "message|caf\xC3\xA9|7",
                                 "message|{\"a\":1}|"));
  for (size_t i = 0; i <= kStream.size(); ++i) {
    for (size_t j = i; j <= kStream.size(); ++j) {
      std::string_view s = kStream;
      ASSERT_EQ(parse({s.substr(0, i), s.substr(i, j - i), s.substr(j)}), whole) << i << " " << j;
    }
  }
}

TEST(Sse, StopsWhenTheCallerSaysSo) {
  SseParser parser;
  int seen = 0;
  EXPECT_TRUE(parser.feed("data: 1\n\ndata: 2\n\n", [&](SseEvent&&) {
    ++seen;
    return false;
  }));
  EXPECT_EQ(seen, 1);
}

TEST(Sse, BoundsALineAndAnEvent) {
  auto ignore = [](SseEvent&&) { return true; };
  SseParser line(100);
  EXPECT_TRUE(line.feed("data: " + std::string(94, 'x'), ignore));
  auto status = line.feed("y", ignore);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kLimit);
  SseParser event(100);
  Status last;
  for (int i = 0; i < 20 && last; ++i) last = event.feed("data: 0123456789\n", ignore);
  EXPECT_FALSE(last);
}

TEST(Sse, WritesWhatItReads) {
  EXPECT_EQ(sse_event("[DONE]"), "data: [DONE]\n\n");
  EXPECT_THAT(parse({sse_event("a\nb\n")}), ElementsAre("message|a\nb\n|"));
}

}  // namespace
}  // namespace bantam::net
