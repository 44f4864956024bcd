#pragma once
#include <cstdio>
#include <string>

#include "base/progress.h"

namespace bantam::cli {

/// Draws reports of a long job on standard error: on a terminal one line that is redrawn at most ten times a
/// second, with a bar, counts, time left and note; elsewhere a plain line when a step starts, every tenth of
/// it but at most one in five seconds, and when it ends. Quiet: nothing. From one thread at a time.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet, std::FILE* out = stderr);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  /// For a library's ProgressSink parameter; valid while this object lives.
  ProgressSink sink();
  void update(const Progress& progress);
  /// Ends the current line, so that other output can follow.
  void finish();

  /// "1:05", "2:00:09": whole seconds, rounded.
  static std::string clock(double seconds);

 private:
  void draw(const Progress& progress, double now);
  void print_line(const Progress& progress, double now);
  std::string time_text(const Progress& progress, double now) const;

  bool quiet_, terminal_;
  std::FILE* out_;
  std::string step_;
  double step_start_ = 0, last_drawn_ = 0;
  uint64_t first_done_ = 0;  // a resumed step starts above 0; the speed must not count what was there
  uint64_t last_tenth_ = 0;
  bool open_line_ = false, step_done_ = false;
};

}  // namespace bantam::cli
