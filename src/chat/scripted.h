#pragma once
// A model that says what it is told to: for tests of whatever stands on ChatModel, ours and our users'.

#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::chat {

/// One scripted turn: an answer in parts, or an error, after a delay that cancel and deadline cut short.
struct ScriptedTurn {
  std::vector<std::string> parts;  // streamed one by one; Reply::text is all of them
  std::vector<ToolCall> tool_calls;  // streamed after the text, each as one event
  std::vector<TokenLogprob> logprobs;  // of the whole answer
  std::optional<double> confidence;
  std::vector<double> choice_shares;
  Usage usage;
  double cost = 0;
  std::optional<Error> error;  // returned after `parts` were streamed
  std::chrono::milliseconds delay{0};       // before the first part
  std::chrono::milliseconds part_delay{0};  // before each further one
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

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override;

 private:
  std::string name_;
  mutable std::mutex mutex_;
  std::deque<ScriptedTurn> turns_;
  std::vector<Request> requests_;
  std::optional<TaskInfo> task_;
};

}  // namespace bantam::chat
