#pragma once
// The JSON of a chat completion from the caller's side, apart from I/O. Internal to chat.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "chat/chat_model.h"
#include "chat/remote.h"
#include "net/sse.h"

namespace bantam::chat {

/// The request's body. Errors: kUnsupported for what the API has no field for.
Result<std::string> request_body(const RemoteOptions& options, const Request& request, bool stream);

/// What an answer holds, whole or so far.
struct Answer {
  std::string text;
  std::string finish_reason;
  std::optional<Usage> usage;
};

/// Reads a whole answer. Errors: kUnavailable for what is not a chat completion.
Result<Answer> read_answer(std::string_view body);

/// The API's error as ours, by status and body.
Error read_error(int status, std::string_view body);

/// Puts a streamed answer together. Feed it the body; after its end ask finish().
class AnswerStream {
 public:
  explicit AnswerStream(TextSink sink) : sink_(std::move(sink)) {}
  /// False when the stream is of no more use: broken, or the sink wants no more.
  bool feed(std::string_view bytes);
  /// Errors: kUnavailable (broken or cut short), kCancelled (by the sink).
  Result<Answer> finish();
  bool passed_on() const { return passed_on_; }
  bool failed() const { return error_.has_value(); }

 private:
  bool take(const net::SseEvent& event);
  TextSink sink_;
  net::SseParser parser_;
  Answer answer_;
  std::optional<Error> error_;
  bool passed_on_ = false, done_ = false;
};

/// The choice that an answer's text names in this mode. Errors: kUnavailable when it names none.
Result<std::string> read_choice(ChoiceMode mode, const std::string& text,
                                const std::vector<std::string>& choices);

}  // namespace bantam::chat
