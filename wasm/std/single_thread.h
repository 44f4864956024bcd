#pragma once
// What the C++ library for WASI leaves out, because it is built without threads: locks, threads that cannot
// be started, and stop tokens, as a program with one thread sees them. Included by the headers of their names
// in this folder, which stand before the library's.

#include <cstdlib>
#include <memory>
#include <utility>

namespace std {  // NOLINT(cert-dcl58-cpp)

class mutex {
 public:
  void lock() {}
  bool try_lock() { return true; }
  void unlock() {}
};

template <class Mutex>
class unique_lock {
 public:
  explicit unique_lock(Mutex&) {}
  void lock() {}
  void unlock() {}
};

class condition_variable {
 public:
  void notify_one() {}
  void notify_all() {}
  /// Nobody else could make it true.
  template <class Lock, class Predicate>
  void wait(Lock&, Predicate predicate) {
    if (!predicate()) abort();
  }
};

/// Never started (base/thread_pool.cc).
class thread {
 public:
  template <class... Arguments>
  explicit thread(Arguments&&...) {
    abort();
  }
  void join() {}
  bool joinable() const { return false; }
  int native_handle() const { return 0; }
  static unsigned hardware_concurrency() { return 1; }
};

class stop_token {
 public:
  stop_token() = default;
  bool stop_requested() const { return stopped_ != nullptr && *stopped_; }
  bool stop_possible() const { return stopped_ != nullptr; }

 private:
  friend class stop_source;
  shared_ptr<bool> stopped_;
};

class stop_source {
 public:
  stop_source() { token_.stopped_ = make_shared<bool>(false); }
  stop_token get_token() const { return token_; }
  bool request_stop() { return !exchange(*token_.stopped_, true); }

 private:
  stop_token token_;
};

}  // namespace std
