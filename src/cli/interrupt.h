#pragma once
#include <stop_token>

namespace bantam::cli {

/// Turns Ctrl-C and SIGTERM into a stop_token, so that a long job ends at its next check with files intact. A
/// second signal, or one that arrives while idle() is on (waiting for the user's input), ends the process at
/// once with kInterrupted. Create one at the start of a verb, before any other thread: the threads made later
/// inherit the blocked signals.
class Interrupt {
 public:
  Interrupt();
  /// The token of the current job.
  static std::stop_token token();
  /// Forgets a stop that was asked for, so that the next job starts with a fresh token (one answer of a
  /// conversation).
  static void reset();
  static void idle(bool on);
};

}  // namespace bantam::cli
