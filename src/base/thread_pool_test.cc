#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>

namespace bantam {
namespace {

/// Every index once, in ranges of at least `grain`.
void expect_cover(ThreadPool& pool, size_t n, size_t grain) {
  std::vector<std::atomic<int>> seen(n);
  std::atomic<size_t> shortest{n}, calls{0};
  const auto fn = [&](size_t begin, size_t end) {
    ASSERT_LT(begin, end);
    ASSERT_LE(end, n);
    ++calls;
    if (end < n && end - begin < shortest) shortest = end - begin;
    for (size_t i = begin; i < end; ++i) ++seen[i];
  };
  pool.parallel_for(n, grain, std::cref(fn));
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(seen[i], 1) << n << " by " << grain << " at " << i;
  if (calls > 1) {
    EXPECT_GE(shortest, grain);
  }
}

TEST(ThreadPool, EveryIndexOnce) {
  for (unsigned threads : {1U, 2U, 3U, 8U}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (size_t n : {0, 1, 2, 3, 7, 16, 17, 100, 1000, 100'000}) {
      for (size_t grain : {0, 1, 2, 8, 64, 5000}) expect_cover(pool, n, grain);
    }
  }
}

TEST(ThreadPool, ManyShortLoops) {
  ThreadPool pool(4);
  std::atomic<uint64_t> sum{0};
  uint64_t expected = 0;
  for (uint64_t round = 0; round < 20'000; ++round) {
    const uint64_t n = 2 + round % 13;
    const auto fn = [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) sum += round + i;
    };
    pool.parallel_for(n, 1, std::cref(fn));
    expected += round * n + n * (n - 1) / 2;
    ASSERT_EQ(sum, expected);  // done when it returns
  }
}

TEST(ThreadPool, CallersTakeTurns) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<uint64_t> total{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        uint64_t own[64] = {};
        const auto fn = [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) own[i] = i;
        };
        pool.parallel_for(64, 4, std::cref(fn));
        total += std::accumulate(own, own + 64, uint64_t{0});
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total, uint64_t{4} * 500 * (63 * 64 / 2));
}

TEST(ThreadPool, WakesUpAfterIdleness) {
  ThreadPool pool(4);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than it looks for work
    expect_cover(pool, 64, 1);
  }
}

/// Runs a loop of two parts, one for each thread of a pool of two, the other thread's taking as long as `work` does. False: the
/// pool did not share it, but gave the caller both.
template <class F>
bool shares_two_parts(ThreadPool& pool, const F& work) {
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> begun = false, alone = false;
  const auto fn = [&](size_t begin, size_t end) {
    if (std::this_thread::get_id() != caller) {
      begun = true;
      work();
      return;
    }
    if (end - begin == 2) {
      alone = true;
      return;
    }
    while (!begun) std::this_thread::yield();
  };
  pool.parallel_for(2, 1, std::cref(fn));
  return !alone;
}

TEST(ThreadPool, GoesOnAloneWhereAThreadIsHeldUp) {
  bool alone = false;  // for a few milliseconds, which may have passed where the machine is busy
  for (int round = 0; round < 100 && !alone; ++round) {
    ThreadPool pool(2);
    const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(3)); };
    EXPECT_TRUE(shares_two_parts(pool, sleep));
    alone = !shares_two_parts(pool, sleep);
  }
  EXPECT_TRUE(alone);
}

TEST(ThreadPool, AThreadThatComputesIsNotHeldUp) {
  bool together = false;  // where the machine is busy, the other thread may really be held up
  for (int round = 0; round < 100 && !together; ++round) {
    ThreadPool pool(2);
    const auto compute = [] {
      const auto now = [] {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return time.tv_sec * 1'000'000'000 + time.tv_nsec;
      };
      for (const auto end = now() + 3'000'000; now() < end;) {
      }
    };
    EXPECT_TRUE(shares_two_parts(pool, compute));
    together = shares_two_parts(pool, compute);
  }
  EXPECT_TRUE(together);
}

TEST(ThreadPool, EndsWithoutHavingWorked) {
  for (int round = 0; round < 50; ++round) ThreadPool(4);
}

}  // namespace
}  // namespace bantam
