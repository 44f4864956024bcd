#pragma once
#include <cstdint>

namespace bantam {

/// CPU seconds (user + system) this process, or this thread, has used so far.
double process_cpu_seconds();
double thread_cpu_seconds();
/// A monotonic clock in seconds.
double wall_seconds();
/// Peak and current resident memory of this process, in bytes (0 where the system does not tell).
uint64_t peak_rss_bytes();
uint64_t current_rss_bytes();
/// Gives memory that this process has freed back to the system, as far as its allocator can.
void give_back_free_memory();

/// While one lives, an allocator that keeps freed memory for a moment gives it back at once: for loading,
/// whose garbage is large and never wanted again. Answering does better without.
class GiveBackAtOnce {
 public:
  GiveBackAtOnce();
  ~GiveBackAtOnce();
  GiveBackAtOnce(const GiveBackAtOnce&) = delete;
  GiveBackAtOnce& operator=(const GiveBackAtOnce&) = delete;
};

}  // namespace bantam
