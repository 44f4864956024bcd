#include "net/signal_stop.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace bantam::net {
namespace {

// A handler can reach nothing but globals. It writes to an eventfd, which is async-signal-safe; a thread of
// ours does the rest.
std::atomic<int> g_event{-1};
struct sigaction g_old_term, g_old_int;
constexpr uint64_t kSignal = 1, kQuit = uint64_t{1} << 32;

void on_signal(int) {
  int saved = errno;
  uint64_t one = kSignal;
  [[maybe_unused]] ssize_t n = ::write(g_event.load(), &one, sizeof one);
  errno = saved;
}

void restore() {
  ::sigaction(SIGTERM, &g_old_term, nullptr);
  ::sigaction(SIGINT, &g_old_int, nullptr);
}

void wait_for_signal(int fd, std::stop_source source) {
  uint64_t value = 0;
  while (::read(fd, &value, sizeof value) < 0 && errno == EINTR) {
  }
  if (value >= kQuit) return;
  restore();
  source.request_stop();
}

}  // namespace

Result<SignalStop> SignalStop::install() {
  int fd = ::eventfd(0, EFD_CLOEXEC);
  if (fd < 0) return fail_errno("eventfd", errno);
  int none = -1;
  if (!g_event.compare_exchange_strong(none, fd)) {
    ::close(fd);
    return fail(Code::kInvalidArgument, "signals: SIGTERM and SIGINT are handled already");
  }
  SignalStop out;
  out.installed_ = true;
  out.thread_ = std::thread(wait_for_signal, fd, out.source_);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, &g_old_term);
  ::sigaction(SIGINT, &action, &g_old_int);
  return out;
}

SignalStop::SignalStop(SignalStop&& other) noexcept
    : source_(other.source_),
      thread_(std::move(other.thread_)),
      installed_(std::exchange(other.installed_, false)) {}

SignalStop::~SignalStop() {
  if (!installed_) return;
  restore();
  uint64_t quit = kQuit;
  [[maybe_unused]] ssize_t n = ::write(g_event.load(), &quit, sizeof quit);
  thread_.join();
  ::close(g_event.exchange(-1));
}

}  // namespace bantam::net
