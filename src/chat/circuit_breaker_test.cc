#include "chat/circuit_breaker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace bantam::chat {
namespace {

using namespace std::chrono_literals;
using State = CircuitBreaker::State;
using testing::HasSubstr;

void fail_once(CircuitBreaker& breaker) {
  auto permit = breaker.enter();
  ASSERT_TRUE(permit);
  permit->failed();
}

TEST(CircuitBreaker, OpensAfterFailuresInARowAndSuccessStartsTheCountAgain) {
  CircuitBreaker breaker({.failures = 3, .pause = 10min});
  fail_once(breaker);
  fail_once(breaker);
  breaker.enter()->succeeded();
  fail_once(breaker);
  fail_once(breaker);
  EXPECT_EQ(breaker.state(), State::kClosed);
  fail_once(breaker);
  EXPECT_EQ(breaker.state(), State::kOpen);
  auto refused = breaker.enter();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("after 3 failures"));
}

TEST(CircuitBreaker, OneTrialDecidesAfterThePause) {
  CircuitBreaker breaker({.failures = 1, .pause = 30ms});
  fail_once(breaker);
  EXPECT_FALSE(breaker.enter());
  std::this_thread::sleep_for(40ms);
  {
    auto trial = breaker.enter();
    ASSERT_TRUE(trial);
    EXPECT_EQ(breaker.state(), State::kHalfOpen);
    EXPECT_FALSE(breaker.enter());  // the trial is still being made
  }                                 // it ended without a word: another one may try
  fail_once(breaker);
  EXPECT_EQ(breaker.state(), State::kOpen);
  EXPECT_FALSE(breaker.enter());
  std::this_thread::sleep_for(40ms);
  breaker.enter()->succeeded();
  EXPECT_EQ(breaker.state(), State::kClosed);
  EXPECT_TRUE(breaker.enter());
}

TEST(CircuitBreaker, WhatBeganBeforeItOpenedChangesNothing) {
  CircuitBreaker breaker({.failures = 1, .pause = 10min});
  auto early = breaker.enter();
  fail_once(breaker);
  early->succeeded();
  EXPECT_EQ(breaker.state(), State::kOpen);
  CircuitBreaker never({.failures = 0, .pause = 10min});
  for (int i = 0; i < 20; ++i) fail_once(never);
  EXPECT_TRUE(never.enter());
}

}  // namespace
}  // namespace bantam::chat
