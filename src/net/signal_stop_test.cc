#include "net/signal_stop.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "net/eventually_for_test.h"

namespace bantam::net {
namespace {

TEST(SignalStop, TheFirstSignalAsksToStopAndTheHandlersReturn) {
  {
    auto signals = SignalStop::install();
    ASSERT_TRUE(signals);
    EXPECT_FALSE(SignalStop::install());
    ::raise(SIGTERM);
    EXPECT_TRUE(eventually([&] { return signals->token().stop_requested(); }));
  }
  struct sigaction now {};
  ::sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
  EXPECT_TRUE(SignalStop::install());  // unused: ends without a signal
}

}  // namespace
}  // namespace bantam::net
