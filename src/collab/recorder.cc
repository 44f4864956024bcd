#include "collab/recorder.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "net/json.h"

namespace bantam::collab {
namespace {

namespace asio = boost::asio;
using Done = std::move_only_function<void(Outcome)>;

constexpr size_t kMostAtOnce = 1024;  // records in a transaction

struct Waiting {
  Record record;
  Done done;
  Outcome outcome;
  bool logged = false;  // its events are in the audit log
};

class Writer final : public Recorder {
 public:
  Writer(RecorderOptions options, Ledger ledger, std::optional<AuditLog> log)
      : options_(std::move(options)), ledger_(std::move(ledger)), log_(std::move(log)) {
    if (log_) head_ = log_->head();
  }
  ~Writer() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  Status start() {
    BANTAM_TRY(look_at_keys());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  asio::awaitable<Outcome> commit(Record record) override {
    auto begin = [this](auto handler, Record what) {
      auto executor = asio::get_associated_executor(handler);
      // Everything of the handler's is moved into its executor, so that nothing of it ends on our thread.
      enqueue(std::move(what), [handler = std::move(handler),
                                work = asio::make_work_guard(executor)](Outcome outcome) mutable {
        auto to = work.get_executor();
        asio::post(to, [handler = std::move(handler), work = std::move(work),
                        outcome = std::move(outcome)]() mutable { std::move(handler)(std::move(outcome)); });
      });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
        std::move(begin), asio::use_awaitable, std::move(record));
  }

  Outcome commit_now(Record record) override {
    std::promise<Outcome> promise;
    auto future = promise.get_future();
    enqueue(std::move(record), [&promise](Outcome outcome) { promise.set_value(std::move(outcome)); });
    return future.get();
  }

  std::shared_ptr<const std::vector<KeyRow>> keys() const override {
    std::lock_guard lock(mutex_);
    return keys_;
  }
  std::optional<AuditHead> head() const override {
    std::lock_guard lock(mutex_);
    return head_;
  }

 private:
  void enqueue(Record record, Done done) {
    {
      std::lock_guard lock(mutex_);
      if (!stopping_ && queue_.size() < options_.max_waiting) {
        queue_.push_back({std::move(record), std::move(done), {}, false});
        done = nullptr;
      }
    }
    if (done) return done(fail(Code::kBusy, "ledger: {} records wait already", options_.max_waiting));
    wake_.notify_one();
  }

  void run() {
    auto look_again = std::chrono::steady_clock::now() + options_.keys_every;
    for (;;) {
      std::vector<Waiting> batch;
      {
        std::unique_lock lock(mutex_);
        wake_.wait_until(lock, look_again, [&] { return stopping_ || !queue_.empty(); });
        if (stopping_ && queue_.empty()) return;
        while (!queue_.empty() && batch.size() < kMostAtOnce) {
          batch.push_back(std::move(queue_.front()));
          queue_.pop_front();
        }
      }
      if (!batch.empty()) commit_batch(batch);
      if (std::chrono::steady_clock::now() >= look_again) {
        (void)look_at_keys();  // as long as the database is away the keys of before hold
        look_again = std::chrono::steady_clock::now() + options_.keys_every;
      }
    }
  }

  void commit_batch(std::vector<Waiting>& batch) {
    Status done = try_batch(batch);
    if (!done && done.error().code == Code::kUnavailable) {
      done = ledger_.sql().reconnect();
      if (done) done = try_batch(batch);  // every statement may be repeated, see Ledger
    }
    if (!done && batch.size() > 1 && done.error().code != Code::kUnavailable) {
      // One that the database refuses must not take the others along.
      for (Waiting& one : batch) {
        std::vector<Waiting> alone;
        alone.push_back(std::move(one));
        commit_batch(alone);
      }
      return;
    }
    if (done && log_) {
      std::lock_guard lock(mutex_);
      head_ = log_->head();
    }
    for (Waiting& one : batch) {
      if (!done) one.outcome = std::unexpected(Error(done.error()).in("ledger"));
      one.done(std::move(one.outcome));
    }
  }

  Status try_batch(std::vector<Waiting>& batch) {
    bool alone = false;
    for (const Waiting& one : batch) alone |= one.record.reserve.has_value() || !one.record.settle.empty();
    Status done = ledger_.sql().begin(alone);
    if (done) done = write(batch);
    if (done) done = ledger_.sql().commit();
    if (!done) ledger_.sql().rollback();
    return done;
  }

  Status write(std::vector<Waiting>& batch) {
    std::vector<std::string> events;
    for (Waiting& one : batch) {
      one.outcome = std::optional<Refusal>();
      for (const Settlement& s : one.record.settle) BANTAM_TRY(ledger_.settle(s.reservation, s.actual));
      if (one.record.reserve) {
        BANTAM_ASSIGN(auto refusal, ledger_.reserve(*one.record.reserve));
        one.outcome = std::move(refusal);
        if (one.outcome->has_value()) continue;
      }
      if (one.record.row) BANTAM_TRY(ledger_.add(*one.record.row));
      if (one.logged) continue;
      for (const std::string& event : one.record.events) events.push_back(event);
    }
    if (!log_) return {};
    if (!events.empty()) BANTAM_TRY(log_->append(events, options_.sync));
    for (Waiting& one : batch) one.logged = !one.outcome->has_value();
    return ledger_.set_head(log_->head());
  }

  /// Says in the audit log what changed since the last look.
  Status look_at_keys() {
    auto found = ledger_.keys();
    if (!found && found.error().code == Code::kUnavailable && ledger_.sql().reconnect())
      found = ledger_.keys();
    if (!found) return std::unexpected(std::move(found).error());
    auto fresh = std::make_shared<const std::vector<KeyRow>>(std::move(*found));
    std::shared_ptr<const std::vector<KeyRow>> before;
    {
      std::lock_guard lock(mutex_);
      before = std::exchange(keys_, fresh);
    }
    std::vector<Waiting> changes(1);
    auto note = [&](const char* type, const KeyRow& key) {
      changes[0].record.events.push_back(
          net::to_text({{"type", type}, {"key", key.name}, {"id", key.id}, {"teams", key.teams}}));
    };
    auto missing = [](const KeyRow& key, const std::vector<KeyRow>& from) {
      return std::none_of(from.begin(), from.end(), [&](const KeyRow& other) { return other.id == key.id; });
    };
    if (before) {
      for (const KeyRow& key : *fresh) {
        if (missing(key, *before)) note("key_added", key);
      }
      for (const KeyRow& key : *before) {
        if (missing(key, *fresh)) note("key_removed", key);
      }
    }
    if (changes[0].record.events.empty()) return {};
    changes[0].done = [](const Outcome&) {};
    commit_batch(changes);
    return {};
  }

  RecorderOptions options_;
  Ledger ledger_;  // the thread's alone, as is log_
  std::optional<AuditLog> log_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_;
  std::shared_ptr<const std::vector<KeyRow>> keys_;
  std::optional<AuditHead> head_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::shared_ptr<Recorder>> Recorder::open(RecorderOptions options) {
  BANTAM_ASSIGN(Ledger ledger, Ledger::open(options.url, options.sync));
  std::optional<AuditLog> log;
  if (!options.audit_path.empty()) {
    BANTAM_ASSIGN(AuditLog opened, AuditLog::open(options.audit_path, ledger));
    log.emplace(std::move(opened));
  }
  auto writer = std::make_shared<Writer>(std::move(options), std::move(ledger), std::move(log));
  BANTAM_TRY(writer->start());
  return writer;
}

}  // namespace bantam::collab
