#pragma once
// `bantam make`: from labelled examples to one GGUF with task, calibration and provenance inside, and the
// comparison that shows what it kept and what it saves.

#include <functional>
#include <stop_token>
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "cli/make_recipe.h"
#include "eval/compare.h"

namespace bantam::cli {

struct MakeOptions {
  std::string out;       // folder for everything that is made
  unsigned threads = 0;  // of training; 0: all
  double checkpoint_seconds = 10;
  ProgressSink progress;
  std::function<void(const std::string&)> say;  // one line a stage
  std::stop_token cancel;
};

/// Files in `out`: teacher.gguf, student.gguf (the product), the steps between, report.txt, report.json,
/// report.html, serve.toml. Started again after a kill it goes on where it stopped and ends in the same
/// student.gguf bit for bit (same recipe, data, threads and machine). Errors: those of every stage, prefixed
/// by its name.
Result<eval::Comparison> make(const Recipe& recipe, const MakeOptions& options);

}  // namespace bantam::cli
