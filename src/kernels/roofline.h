#pragma once
// What the machine could do at best, so that a speed can be told as a share of it (Williams, Waterman and
// Patterson 2009).

#include "base/thread_pool.h"
#include "kernels/table.h"

namespace bantam::kernels {

struct Roofline {
  double bytes_per_second = 0;          // read from memory, by all threads of the pool together
  double multiply_adds_per_second = 0;  // of int8 by int8, likewise; 0 where the table has none of its own
};

/// Measured in about half a second, the better of several tries. Takes up to a gigabyte of memory for that
/// time, so as to be beyond the caches; no more than `most_bytes`.
Roofline measure_roofline(const Table& table, ThreadPool& pool, uint64_t most_bytes);

}  // namespace bantam::kernels
