#pragma once
#include <memory>
#include <optional>
#include <stop_token>

#include "chat/chat_model.h"
#include "collab/llm_call.h"
#include "net/async_event.h"

namespace bantam::collab {

/// A call of a model that runs beside the coroutine that started it, on the same executor of one thread. Its
/// owner has to await the end of it (`done`) before it goes: the call uses what the sink refers to.
class Beside {
 public:
  /// Starts. `changed` is raised at the call's end; it and what `sink` refers to outlive the call. The call
  /// ends with kCancelled when the request's own stop is asked for, or stop() is.
  Beside(boost::asio::any_io_executor executor, LlmCall& model, chat::Request request, chat::EventSink sink,
         net::AsyncEvent& changed);
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  void stop();
  bool done() const;
  /// Only when done.
  Result<chat::Reply>& reply();
  /// Wall time from the start to the end, or to now.
  double seconds() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bantam::collab
