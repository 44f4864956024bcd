#pragma once
// A model that says what it is told to: for tests of whatever stands on ChatModel, ours and our users'.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::chat {

/// One scripted turn: an answer in parts, or an error, after a delay that cancel and deadline cut short.
struct ScriptedTurn {
  std::vector<std::string> parts;  // streamed one by one; Reply::text is all of them
  std::optional<double> confidence;
  Usage usage;
  double cost = 0;
  std::optional<Error> error;  // returned after `parts` were streamed
  std::chrono::milliseconds delay{0};
};

/// Plays its turns in order; after the last it answers kUnavailable ("the script has ended"). Safe to call
/// from many threads, which then take the turns in the order in which they arrive.
class ScriptedModel final : public ChatModel {
 public:
  explicit ScriptedModel(std::string name, std::vector<ScriptedTurn> turns = {},
                         std::optional<TaskInfo> task = {})
      : name_(std::move(name)), turns_(turns.begin(), turns.end()), task_(std::move(task)) {}

  /// Adds a turn at the end of the script.
  void say(ScriptedTurn turn) {
    std::lock_guard lock(mutex_);
    turns_.push_back(std::move(turn));
  }
  /// The requests so far, in order of arrival.
  std::vector<Request> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

  const std::string& name() const override { return name_; }
  const TaskInfo* task() const override { return task_ ? &*task_ : nullptr; }

  Result<Reply> generate(const Request& request, const TextSink& sink) override {
    std::unique_lock lock(mutex_);
    requests_.push_back(request);
    if (turns_.empty()) return fail(Code::kUnavailable, "{}: the script has ended", name_);
    ScriptedTurn turn = std::move(turns_.front());
    turns_.pop_front();
    if (!wait(lock, turn.delay, request)) return fail(Code::kCancelled, "{}: cancelled", name_);
    lock.unlock();
    return play(std::move(turn), sink);
  }

 private:
  /// False when the request was cancelled or its deadline passed within the delay.
  static bool wait(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds delay,
                   const Request& request) {
    auto until = std::chrono::steady_clock::now() + delay;
    bool late = request.deadline && *request.deadline < until;
    if (late) until = *request.deadline;
    std::condition_variable_any never;
    never.wait_until(lock, request.cancel, until, [] { return false; });
    return !late && !request.cancel.stop_requested();
  }

  Result<Reply> play(ScriptedTurn turn, const TextSink& sink) const {
    Reply reply;
    for (const std::string& part : turn.parts) {
      reply.text += part;
      if (sink && !sink(part)) return fail(Code::kCancelled, "{}: the sink stopped the answer", name_);
    }
    if (turn.error) return std::unexpected(std::move(*turn.error));
    reply.usage = turn.usage;
    reply.answered_by = name_;
    reply.confidence = turn.confidence;
    reply.cost = turn.cost;
    Step step;
    step.model = name_;
    step.usage = turn.usage;
    step.cost = turn.cost;
    step.confidence = turn.confidence;
    reply.steps.push_back(std::move(step));
    return reply;
  }

  std::string name_;
  mutable std::mutex mutex_;
  std::deque<ScriptedTurn> turns_;
  std::vector<Request> requests_;
  std::optional<TaskInfo> task_;
};

}  // namespace bantam::chat
