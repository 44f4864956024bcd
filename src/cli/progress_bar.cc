#include "cli/progress_bar.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/usage.h"

namespace bantam::cli {
namespace {

constexpr int kBarCells = 24;
constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainSeconds = 5.0;

size_t terminal_columns(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

ProgressBar::ProgressBar(bool quiet, std::FILE* out)
    : quiet_(quiet), terminal_(::isatty(::fileno(out)) == 1), out_(out) {}

ProgressBar::~ProgressBar() { finish(); }

ProgressSink ProgressBar::sink() {
  if (quiet_) return {};
  return [this](const Progress& progress) { update(progress); };
}

std::string ProgressBar::clock(double seconds) {
  auto whole = static_cast<uint64_t>(std::llround(std::max(0.0, seconds)));
  uint64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

void ProgressBar::update(const Progress& progress) {
  if (quiet_) return;
  double now = wall_seconds();
  bool fresh = progress.step != step_ || (step_done_ && progress.done < progress.total);
  if (fresh) {
    finish();
    step_ = progress.step;
    step_start_ = now;
    first_done_ = progress.done;
    last_tenth_ = 0;
    last_drawn_ = 0;
    step_done_ = false;
  }
  if (step_done_) return;
  step_done_ = progress.total > 0 && progress.done >= progress.total;
  if (terminal_) {
    if (fresh || step_done_ || now - last_drawn_ >= kRedrawSeconds) draw(progress, now);
    if (step_done_) finish();
    return;
  }
  uint64_t tenth = progress.total == 0 ? 0 : 10 * progress.done / progress.total;
  if (fresh || step_done_ || (tenth != last_tenth_ && now - last_drawn_ >= kPlainSeconds)) {
    last_tenth_ = tenth;
    print_line(progress, now);
  }
}

std::string ProgressBar::time_text(const Progress& progress, double now) const {
  double elapsed = now - step_start_;
  if (step_done_) return "in " + clock(elapsed);
  if (progress.done <= first_done_ || progress.total <= progress.done) return "";
  double left = elapsed * static_cast<double>(progress.total - progress.done) /
                static_cast<double>(progress.done - first_done_);
  return "ETA " + clock(left);
}

void ProgressBar::draw(const Progress& progress, double now) {
  last_drawn_ = now;
  double share =
      progress.total == 0 ? 0 : static_cast<double>(progress.done) / static_cast<double>(progress.total);
  int cells = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarCells);
  std::string text = fmt::format("{:<18} [{}{}] {:3.0f}% {}/{} {} {}", progress.step, std::string(cells, '#'),
                                 std::string(kBarCells - cells, '.'), 100 * share, progress.done,
                                 progress.total, time_text(progress, now), progress.note);
  // One line exactly: a wrapped line could not be redrawn.
  size_t width = terminal_columns(out_);
  if (text.size() >= width) text.resize(width - 1);
  fmt::print(out_, "\r\033[K{}", text);
  std::fflush(out_);
  open_line_ = true;
}

void ProgressBar::print_line(const Progress& progress, double now) {
  last_drawn_ = now;
  std::string time = time_text(progress, now);
  fmt::print(out_, "{}: {}/{}{}{}{}{}\n", progress.step, progress.done, progress.total,
             time.empty() ? "" : ", ", time, progress.note.empty() ? "" : ", ", progress.note);
  std::fflush(out_);
}

void ProgressBar::finish() {
  if (!open_line_) return;
  std::fputc('\n', out_);
  std::fflush(out_);
  open_line_ = false;
}

}  // namespace bantam::cli
