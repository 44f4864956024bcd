#include "chat/spend_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace bantam::chat {
namespace {

using testing::HasSubstr;

TEST(SpendGuard, SetsTheWorstAsideAndCorrectsIt) {
  SpendLimits limits;
  limits.money_per_day = 1.0;
  SpendGuard guard(limits);
  auto first = guard.reserve("a", 0.6);
  ASSERT_TRUE(first);
  auto second = guard.reserve("b", 0.6);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("max_cost_per_day is 1, 0.6 are spent"));
  guard.settle(*first, 0.1);
  second = guard.reserve("b", 0.6);
  ASSERT_TRUE(second);
  EXPECT_FALSE(guard.reserve("c", 0.6));  // never settled: it stays spent
}

TEST(SpendGuard, CountsCallsOfARequestAndOfADay) {
  std::time_t now = 86'400 * 20'000 + 10;
  SpendLimits limits;
  limits.calls_per_request = 2;
  limits.calls_per_day = 3;
  SpendGuard guard(limits, [&] { return now; });
  EXPECT_TRUE(guard.reserve("a", 0));
  auto refused_by_the_net = guard.reserve("a", 0);
  EXPECT_THAT(guard.reserve("a", 0).error().message, HasSubstr("max_calls_per_request is 2"));
  guard.settle(*refused_by_the_net, 0, /*made=*/false);
  EXPECT_TRUE(guard.reserve("a", 0));
  EXPECT_TRUE(guard.reserve("", 0));
  EXPECT_THAT(guard.reserve("b", 0).error().message, HasSubstr("max_calls_per_day is 3"));
  now += 86'400;
  EXPECT_TRUE(guard.reserve("b", 0));
}

TEST(SpendGuard, HoldsToTheLimitUnderConcurrency) {
  SpendLimits limits;
  limits.calls_per_day = 500;
  limits.money_per_day = 1000;
  SpendGuard guard(limits);
  std::atomic<int> made{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 400; ++i) {
        auto reserved = guard.reserve("", 2);
        if (!reserved) continue;
        ++made;
        guard.settle(*reserved, 1);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(made, 500);
}

}  // namespace
}  // namespace bantam::chat
