#include "base/usage.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

// There in programs that are linked with mimalloc (BANTAM_MIMALLOC); null in others.
#if __has_include(<mimalloc.h>)
#include <mimalloc.h>
#pragma weak mi_collect
#pragma weak mi_option_get
#pragma weak mi_option_set
#define BANTAM_MIMALLOC_KNOWN
#endif

namespace bantam {
namespace {

double clock_seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

double process_cpu_seconds() { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }
double thread_cpu_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }
double wall_seconds() { return clock_seconds(CLOCK_MONOTONIC); }

uint64_t peak_rss_bytes() {
#if defined(__wasm__)
  return uint64_t{__builtin_wasm_memory_size(0)} << 16;  // which never shrinks
#else
  rusage usage{};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<uint64_t>(usage.ru_maxrss) * 1024 : 0;
#endif
}

uint64_t current_rss_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long total = 0, resident = 0;
  const int fields = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return fields == 2 ? static_cast<uint64_t>(resident) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void give_back_free_memory() {
#ifdef BANTAM_MIMALLOC_KNOWN
  if (mi_collect != nullptr) {
    mi_collect(true);
    return;
  }
#endif
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

#ifdef BANTAM_MIMALLOC_KNOWN

namespace {
std::mutex at_once_mutex;
int at_once_count = 0;
long usual_delay = 0;
}  // namespace

GiveBackAtOnce::GiveBackAtOnce() {
  if (mi_option_set == nullptr) return;
  const std::lock_guard lock(at_once_mutex);
  if (at_once_count++ > 0) return;
  usual_delay = mi_option_get(mi_option_decommit_delay);
  mi_option_set(mi_option_decommit_delay, 0);
}

GiveBackAtOnce::~GiveBackAtOnce() {
  if (mi_option_set == nullptr) return;
  const std::lock_guard lock(at_once_mutex);
  if (--at_once_count == 0) mi_option_set(mi_option_decommit_delay, usual_delay);
}

#else

GiveBackAtOnce::GiveBackAtOnce() = default;
GiveBackAtOnce::~GiveBackAtOnce() = default;

#endif

}  // namespace bantam
