#pragma once
// A model that runs here.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "runtime/engine.h"

namespace bantam::chat {

struct LocalOptions {
  std::string name = {};
  Prices prices = {};                      // what a token costs here, for comparisons; usually nothing
  size_t sessions = 4;                     // requests that run at once, all of them taking each step together
  size_t max_waiting = 64;                 // requests that wait for their turn; one more is kBusy
  uint64_t kv_bytes = 0;                   // of all KV caches (runtime::SchedulerOptions)
  runtime::SamplingOptions sampling = {};  // of requests that say nothing else
  bool context_shift = false;              // Request::context_shift is allowed
};

/// A model that runs here, and the state of the conversation it answered last (runtime::Session::save).
class LocalModel : public ChatModel {
 public:
  /// Waits for what runs. Errors: those of Session::save; kInvalidArgument before the first answer.
  virtual Status save_state(const std::string& path) = 0;
  /// Only before the first request. Errors: those of Session::restore and Engine::new_session.
  virtual Status load_state(const std::string& path) = 0;
};

/// A model made for a task answers with one of its labels: the last user message is the task's input, other
/// messages have no effect (said in Reply::notes), and the confidence is calibrated. Request::choices then
/// name the labels to choose among. Any other model continues the conversation by its chat template, or
/// chooses among Request::choices with their normalised probability as confidence; without a template it
/// continues the text of the messages. A choice is the most probable one, whatever the sampling
/// options (also said in notes); stop strings, and a max_tokens below the longest choice, are refused there
/// (kInvalidArgument), and so are formats and log-probabilities. Elsewhere a response format is kept to token
/// by token, whether strict or not; what of its schema is not implemented is kUnsupported and named. Tools
/// are told in the form of the model's chat template or, where it has none, in a stated one (docs/server.md);
/// calls are written under a grammar of their schemas, so that they are always well formed unless max_tokens
/// cuts them. The same request gives the same answer whatever runs beside it. All work, tokenisation
/// included, is done on threads of the model's own. Errors of make: kInvalidArgument for no sessions.
Result<std::shared_ptr<LocalModel>> make_local(std::shared_ptr<const runtime::Engine> engine,
                                               LocalOptions options);

}  // namespace bantam::chat
