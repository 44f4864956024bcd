#pragma once
// Continuous batching: all live sequences of an engine take each step together, and prompts are read in
// pieces beside them.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"

namespace bantam::runtime {

class Sequence;

struct SchedulerOptions {
  size_t sequences = 8;        // that run at once; more wait
  size_t waiting = 64;         // that wait; one more is kBusy
  uint64_t kv_bytes = 0;       // for all KV caches together; 0: `sequences` times one of the whole context
  double step_seconds = 0.05;  // a piece of a prompt is read in about this time while others generate
};

/// One thread that computes. A job's cache has room for its prompt and answer, and what it has read stays for later prompts that begin
/// alike until its room is needed: pages of keys and values (model::KvCache) are shared by all whose texts begin alike.
/// The result of a job is the same in every bit whatever runs beside it. Safe to use from many threads;
/// callbacks run on the scheduler's and must not block it.
class Scheduler {
 public:
  Scheduler(std::shared_ptr<const Engine> engine, SchedulerOptions options);
  /// Ends what runs (kCancelled) and drops what waits.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// As Session::generate; `done` is called once. Returns a ticket. Errors: kBusy. Those of Session::generate
  /// go to `done`, beside kLimit when prompt and answer do not fit kv_bytes.
  using Done = std::function<void(Result<Generation>)>;
  Result<uint64_t> generate(std::vector<TokenId> prompt, GenerateOptions options, Done done);
  /// Reads a prompt among the others, then calls `job` with a session whose cache begins with it (all but the
  /// last token) and has room for `more` tokens. Nothing else runs meanwhile, so it should be short: a
  /// choice, a vector.
  using Job = std::function<void(Result<Session*>)>;
  Result<uint64_t> run(std::vector<TokenId> prompt, size_t more, Job job, std::stop_token cancel = {},
                       std::optional<std::vector<float>> adapter_scales = {});
  /// Calls `job`, between two steps, with the session that was used last and waits for its next use, or null.
  using Look = std::function<void(Session*)>;
  Result<uint64_t> look(Look job);
  /// Adds a session that later prompts may continue. Only before the first job.
  void adopt(std::unique_ptr<Session> session);
  /// Takes back what has not begun; its callback is not called.
  void withdraw(uint64_t ticket);

  struct Load {
    size_t running = 0, waiting = 0;
  };
  Load load() const;

 private:
  struct Waiting;
  struct Running;
  struct Idle;

  Result<uint64_t> post(Waiting job);
  void work();
  bool admit();
  Result<std::unique_ptr<Session>> session_for(const Waiting& job);
  size_t shared_with(const Session& session, const Waiting& job) const;
  Result<std::unique_ptr<Session>> continued(const Waiting& job);
  size_t pages_held(const Session::State& also) const;
  Status make_room(const Session::State& state, size_t pages);
  Status share_beginning(const Waiting& job, Session& to);
  std::span<const float> scales_of(const Waiting& job) const;
  void start(Waiting job, std::unique_ptr<Session> session);
  bool step();
  size_t prefill_tokens(size_t decoding, size_t room) const;
  void finish(size_t index, Status status);
  void keep(std::unique_ptr<Session> session);

  std::shared_ptr<const Engine> engine_;
  const SchedulerOptions options_;
  uint64_t budget_ = 0;  // bytes of caches
  std::shared_ptr<void> workspace_;
  std::vector<float> scratch_;
  std::vector<std::unique_ptr<Running>> running_;
  std::deque<std::unique_ptr<Session>> idle_;  // used last at the end
  size_t turn_ = 0;                            // of the prompts that are read
  double token_seconds_ = 0;                   // of one prompt token, measured

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Waiting> queue_;
  size_t running_count_ = 0;
  uint64_t next_ticket_ = 1;
  bool stop_ = false;
  bool full_ = false;  // the first in the queue waits for memory: of a sequence that ends, or another job is first
  std::thread thread_;
};

}  // namespace bantam::runtime
