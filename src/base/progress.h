#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace bantam {

/// One report of a long job: which step, how far, and what to show beside it ("loss 0.412"). Units of done
/// and total are the step's own (batches, tensors, examples).
struct Progress {
  std::string step;
  uint64_t done = 0;
  uint64_t total = 0;
  std::string note;
};

/// Where reports go. A library calls it and never prints; the command line draws a bar with an ETA. May be
/// empty.
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace bantam
