#include "base/thread_pool.h"

#include <algorithm>

#include <pthread.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bantam {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Parts for each thread: enough for a slow one to take fewer, few enough to cost nothing.
constexpr size_t kPartsPerThread = 8;
constexpr size_t kMostParts = 4096;
/// How long a thread looks for work before it sleeps: longer than what lies between the loops of a forward
/// pass, about what falling asleep and being woken cost.
constexpr microseconds kLook{60};
/// A pause this long between two looks means that the system has run something else.
constexpr microseconds kPutAside{30};
/// How long the caller waits for a thread that does not get the processor, before it goes on alone.
constexpr microseconds kPatience{200};
constexpr milliseconds kAloneAtFirst{10}, kAloneAtMost{640};
/// Loops without such a wait after which the last one is forgotten: more than a thread that shares its
/// processor can do in one turn (some milliseconds), of a small model's.
constexpr unsigned kGoodRounds = 1000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr uint64_t kOnePart = 1;
uint64_t round_of(uint64_t ticket) { return ticket >> 32; }
uint64_t parts_of(uint64_t ticket) { return ticket >> 16 & 0xffff; }
uint64_t next_of(uint64_t ticket) { return ticket & 0xffff; }

/// Calls ready() until it is true or kLook is over; false too where the system puts this thread aside.
template <class Ready>
bool look(const Ready& ready) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (auto last = start;;) {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      pause();
    }
    const auto now = Clock::now();
    if (now - start > kLook || now - last > kPutAside) return ready();
    last = now;
  }
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
#if defined(__wasm__)
  threads = 1;  // a page's module has one
#endif
  for (unsigned index = 1; index < threads; ++index) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& fn) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  if (workers_.empty() || n < 2 * grain) return fn(0, n);
  std::lock_guard turn(turn_);
  const auto start = Clock::now();
  if (start < alone_until_) return fn(0, n);
  const size_t many = std::clamp<size_t>(n / grain, 1, std::min(kMostParts, size() * kPartsPerThread));
  part_ = ((n + many - 1) / many + grain - 1) / grain * grain;
  n_ = n;
  fn_ = &fn;
  const uint64_t parts = (n + part_ - 1) / part_;
  done_.store(0, std::memory_order_relaxed);
  ticket_.store((++round_ & 0xffffffffU) << 32 | parts << 16, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    std::lock_guard lock(mutex_);
    start_.notify_all();
  }
  while (run_one()) {
  }
  wait_for_others(static_cast<unsigned>(parts));
}

/// Takes and runs the next part of the loop, if there is one.
bool ThreadPool::run_one() {
  // Looking first keeps late comers from counting on and on.
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  if (next_of(ticket) >= parts_of(ticket)) return false;
  // What it gives is a part of the loop that runs now, whichever that is: it cannot end before this part has.
  ticket = ticket_.fetch_add(kOnePart, std::memory_order_acq_rel);
  if (next_of(ticket) >= parts_of(ticket)) return false;
  const size_t begin = next_of(ticket) * part_;
  (*fn_)(begin, std::min(n_, begin + part_));
  const uint64_t parts = parts_of(ticket);
  // After the last part the caller may start another loop at any time: nothing of this one is read then.
  if (done_.fetch_add(1, std::memory_order_seq_cst) + 1 == parts &&
      caller_sleeps_.load(std::memory_order_seq_cst)) {
    std::lock_guard lock(mutex_);
    finished_.notify_one();
  }
  return true;
}

/// Processor time of the worker that got most of it since `before` was filled in; fills in `now`.
std::chrono::steady_clock::duration ThreadPool::worked_since(const std::vector<Clock::duration>& before, std::vector<Clock::duration>& now) {
  now.resize(workers_.size());
  Clock::duration most{};
  for (size_t i = 0; i < workers_.size(); ++i) {
    clockid_t clock{};
    timespec time{};
    if (::pthread_getcpuclockid(workers_[i].native_handle(), &clock) == 0) ::clock_gettime(clock, &time);
    now[i] = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    if (i < before.size()) most = std::max(most, now[i] - before[i]);
  }
  return most;
}

void ThreadPool::wait_for_others(unsigned parts) {
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == parts; };
  if (all_done()) {
    if (++good_rounds_ >= kGoodRounds) alone_for_ = {};
    return;
  }
  if (look(all_done)) {
    if (++good_rounds_ >= kGoodRounds) alone_for_ = {};
    return;
  }
  // Whoever is waited for computes, or the system has put it aside: its processor time tells.
  const auto start = Clock::now();
  worked_since({}, before_);
  {
    caller_sleeps_.store(true, std::memory_order_seq_cst);
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return done_.load(std::memory_order_seq_cst) == parts; });
    caller_sleeps_.store(false, std::memory_order_relaxed);
  }
  const auto now = Clock::now();
  const auto waited = now - start;
  if (waited > kPatience && 4 * worked_since(before_, after_) < 3 * waited) {
    give_up_for_a_while(now);
  } else if (++good_rounds_ >= kGoodRounds) {
    alone_for_ = {};
  }
}

void ThreadPool::give_up_for_a_while(Clock::time_point now) {
  good_rounds_ = 0;
  alone_for_ = std::clamp<Clock::duration>(2 * alone_for_, kAloneAtFirst, kAloneAtMost);
  alone_until_ = now + alone_for_;
}

void ThreadPool::work() {
  while (true) {
    const uint64_t seen = round_of(ticket_.load(std::memory_order_acquire));
    while (run_one()) {
    }
    if (!look_for_work(seen)) sleep(seen);
    if (stop_.load(std::memory_order_acquire)) return;
  }
}

bool ThreadPool::look_for_work(uint64_t seen) {
  return look([&] {
    return round_of(ticket_.load(std::memory_order_acquire)) != seen || stop_.load(std::memory_order_relaxed);
  });
}

void ThreadPool::sleep(uint64_t seen) {
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  start_.wait(lock, [&] {
    return stop_.load(std::memory_order_relaxed) || round_of(ticket_.load(std::memory_order_seq_cst)) != seen;
  });
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace bantam
