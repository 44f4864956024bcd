#pragma once
// What `bantam bench` measures of one model with one set of options.

#include <string>
#include <vector>

#include "base/progress.h"
#include "cli/app.h"
#include "runtime/engine.h"

namespace bantam::cli {

struct BenchOptions {
  std::string model, rival;  // the rival's command, or none
  uint32_t prompt = 512, gen = 128, repetitions = 5;
  bool roofline = true;
  runtime::EngineOptions engine;
};

/// The object of docs/formats.md: `model`, `threads`, `batch`, `prompt`, `gen`, `bantam` (and `rival` with
/// the ratios), `roofline`. Runs of the rival lie between ours. Errors: the engine's; kUnavailable for a
/// rival that fails or does not print what it should.
Result<Json> bench(const BenchOptions& options, const ProgressSink& progress);

/// The same in a process of its own, so that its peak of memory is its own too.
Result<Json> bench_apart(const BenchOptions& options, const ProgressSink& progress);

}  // namespace bantam::cli
