#pragma once
// The JSON of a chat completion from the caller's side, apart from I/O. Internal to chat.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/chat_model.h"
#include "chat/remote.h"
#include "net/sse.h"

namespace bantam::chat {

/// The field of the schema that holds a choice.
inline constexpr const char* kChoiceField = "answer";

/// The request's body. Errors: kUnsupported for what the API has no field for.
Result<std::string> request_body(const RemoteOptions& options, const Request& request, bool stream);

/// The same for /completions, which continues Request::prompt.
Result<std::string> completion_body(const RemoteOptions& options, const Request& request, bool stream);
/// The body of a request to /embeddings.
std::string embed_body(const RemoteOptions& options, const EmbedRequest& request);

/// What an answer holds, whole or so far.
struct Answer {
  std::string text, refusal;
  std::vector<ToolCall> tool_calls;
  std::vector<TokenLogprob> logprobs;
  std::string finish_reason;
  std::optional<Usage> usage;
  std::vector<std::vector<float>> vectors;  // of /embeddings
};

/// Reads a whole answer, `completion`: of /completions. Errors: kUnavailable for what is no such thing.
Result<Answer> read_answer(std::string_view body, bool completion = false);
/// Reads the vectors of so many inputs. Errors: kUnavailable.
Result<Answer> read_embeddings(std::string_view body, size_t inputs);

/// The API's error as ours, by status and body.
Error read_error(int status, std::string_view body);

/// Puts a streamed answer together. Feed it the body, pass on what take() gives; after the body's end ask
/// finish().
class AnswerStream {
 public:
  /// `completion`: of /completions.
  explicit AnswerStream(bool completion = false) : completion_(completion) {}
  /// False when the stream is broken. What follows its end is not looked at.
  bool feed(std::string_view bytes);
  /// The events that the bytes so far ended, in order, each once.
  std::vector<Event> take() { return std::exchange(events_, {}); }
  /// Errors: kUnavailable (broken or cut short).
  Result<Answer> finish();
  bool failed() const { return error_.has_value(); }
  /// All is there, though the connection may still be open.
  bool done() const { return done_; }

 private:
  bool take(const net::SseEvent& event);
  void take_delta(const nlohmann::json& choice);
  bool take_tool_calls(const nlohmann::json& calls);
  bool completion_;
  net::SseParser parser_;
  Answer answer_;
  std::vector<Event> events_;
  std::optional<Error> error_;
  bool done_ = false;
};

/// The choice that an answer's text names in this mode. Errors: kUnavailable when it names none.
Result<std::string> read_choice(ChoiceMode mode, const std::string& text,
                                const std::vector<std::string>& choices);

}  // namespace bantam::chat
