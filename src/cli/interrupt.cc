#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "cli/output.h"

namespace bantam::cli {
namespace {

std::mutex mutex;
std::stop_source source;
std::atomic<bool> waiting_for_input = false;

void watch(sigset_t signals) {
  while (true) {
    int number = 0;
    if (::sigwait(&signals, &number) != 0) return;
    std::stop_source current;
    {
      std::lock_guard lock(mutex);
      current = source;
    }
    if (waiting_for_input || current.stop_requested()) ::_exit(kInterrupted);
    current.request_stop();
  }
}

}  // namespace

Interrupt::Interrupt() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(watch, signals).detach();
}

std::stop_token Interrupt::token() {
  std::lock_guard lock(mutex);
  return source.get_token();
}

void Interrupt::reset() {
  std::lock_guard lock(mutex);
  if (source.stop_requested()) source = std::stop_source();
}

void Interrupt::idle(bool on) { waiting_for_input = on; }

}  // namespace bantam::cli
