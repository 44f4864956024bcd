#pragma once
// The LLM of a team, and what becomes of a request when it fails.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>

#include "chat/chat_model.h"

namespace bantam::collab {

/// What a caller gets when the LLM is wanted and fails.
enum class OnLlmFailure {
  kUnverified,  // the SLM's answer, with Reply::unverified
  kError,       // the LLM's error
  kQueue,       // the request waits and the LLM is tried again; at the end of that the LLM's error
};

struct LlmRule {
  OnLlmFailure on_failure = OnLlmFailure::kUnverified;
  // With kQueue:
  std::chrono::milliseconds retry_pause{1000};  // before the second try; doubled each time, up to 30 s
  std::chrono::milliseconds queue_wait{
      300'000};            // from the first failure on; the request's deadline holds besides
  size_t queue_size = 64;  // requests of the team that wait at once; for one more kBusy
};

/// Safe to use from many threads.
class LlmCall {
 public:
  LlmCall(std::shared_ptr<chat::ChatModel> model, LlmRule rule) : model_(std::move(model)), rule_(rule) {}

  /// generate(), and with kQueue again after each kUnavailable and kBusy as long as nothing of an answer was
  /// passed on. `request` lives until the awaitable is done.
  chat::Awaitable<Result<chat::Reply>> ask(const chat::Request& request, chat::EventSink sink);

  chat::ChatModel& model() const { return *model_; }
  const std::shared_ptr<chat::ChatModel>& shared() const { return model_; }
  const std::string& name() const { return model_->name(); }
  /// Whether the SLM's answer stands in for the LLM's that failed.
  bool falls_back() const { return rule_.on_failure == OnLlmFailure::kUnverified; }
  /// The same for this failure: not where the caller is gone.
  bool falls_back_from(const Error& error, const chat::Request& request) const {
    return falls_back() && !(error.code == Code::kCancelled && request.cancel.stop_requested());
  }

 private:
  std::shared_ptr<chat::ChatModel> model_;
  LlmRule rule_;
  std::unique_ptr<std::atomic<size_t>> waiting_ = std::make_unique<std::atomic<size_t>>();  // apart: a call may be moved before its use
};

}  // namespace bantam::collab
