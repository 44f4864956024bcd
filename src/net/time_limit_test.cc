#include "net/time_limit.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <vector>

namespace bantam::net {
namespace {

using namespace std::chrono_literals;
using Clock = TimeLimit::Clock;

class TimeLimits : public testing::Test {
 protected:
  std::unique_ptr<TimeLimit> limit(std::string name) {
    return std::make_unique<TimeLimit>(io_.get_executor(), [this, name] { passed_ += name; });
  }
  boost::asio::io_context io_{1};
  std::string passed_;
};

TEST_F(TimeLimits, PassInTheirOrderAndEachOnce) {
  auto a = limit("a"), b = limit("b"), c = limit("c");
  auto now = Clock::now();
  c->set(now + 30ms);
  a->set(now - 1s);  // in the past: at once
  b->set(now + 15ms);
  io_.run();
  EXPECT_EQ(passed_, "abc");
  EXPECT_GE(Clock::now(), now + 30ms);
}

TEST_F(TimeLimits, TheLastOneSetCounts) {
  auto later = limit("l"), sooner = limit("s"), lifted = limit("x"), again = limit("g");
  auto now = Clock::now();
  later->set(now + 5ms);
  later->set(now + 40ms);
  sooner->set(now + 10min);
  sooner->set(now + 20ms);
  lifted->set(now + 5ms);
  lifted->lift();
  lifted->lift();
  again->set(now + 5ms);
  again->lift();
  again->set(now + 10ms);
  io_.run();
  EXPECT_EQ(passed_, "gsl");
}

TEST_F(TimeLimits, NobodysLimitKeepsNothingAtWork) {
  auto gone = limit("x"), lifted = limit("y");
  gone->set(Clock::now() + 10min);
  lifted->set(Clock::now() + 10min);
  boost::asio::post(io_, [&] {
    gone.reset();
    lifted->lift();
  });
  auto start = Clock::now();
  io_.run();
  EXPECT_LT(Clock::now() - start, 1min);
  EXPECT_EQ(passed_, "");
  io_.restart();  // and the next one works as the first
  lifted->set(Clock::now() + 5ms);
  io_.run();
  EXPECT_EQ(passed_, "y");
}

TEST_F(TimeLimits, OneMayBeSetAnewWhenItPassesAndEndOthers) {
  auto other = limit("x");
  int times = 0;
  std::unique_ptr<TimeLimit> mine;
  mine = std::make_unique<TimeLimit>(io_.get_executor(), [&] {
    other.reset();
    if (++times < 3) mine->set(Clock::now() + 2ms);
  });
  auto now = Clock::now();
  mine->set(now + 2ms);
  other->set(now + 3ms);
  io_.run_for(50ms);
  EXPECT_EQ(times, 3);
  EXPECT_EQ(passed_, "");
}

TEST(TimeLimit, OutlivesNothingButItsIoContextsEnd) {
  auto io = std::make_unique<boost::asio::io_context>(1);
  // One that a waiting handler owns ends with the io_context.
  auto owned = std::make_unique<TimeLimit>(io->get_executor(), [] {});
  owned->set(Clock::now() + 10min);
  boost::asio::post(*io, [owned = std::move(owned)] {});
  io.reset();
}

TEST_F(TimeLimits, ThousandsAtOnce) {
  std::vector<std::unique_ptr<TimeLimit>> limits;
  int count = 0;
  auto now = Clock::now();
  for (int i = 0; i < 5000; ++i) {
    limits.push_back(std::make_unique<TimeLimit>(io_.get_executor(), [&] { ++count; }));
    limits.back()->set(now + std::chrono::milliseconds(i * 7919 % 20));
  }
  for (int i = 0; i < 5000; i += 5) limits[static_cast<size_t>(i)]->lift();
  io_.run();
  EXPECT_EQ(count, 4000);
}

}  // namespace
}  // namespace bantam::net
