#pragma once
// Calls of an OpenAI-compatible API, whatever the endpoint: limits, breaker, time limits, retries. Internal to chat.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/rng.h"
#include "chat/call_notes.h"
#include "chat/openai_wire.h"
#include "chat/remote.h"
#include "chat/watchdog.h"
#include "net/http_client.h"

namespace bantam::chat {

/// What is asked of the API, and how. Lives until the call is done.
struct Question {
  const net::Url* url = nullptr;
  std::string body;
  double worst = 0;               // what it may cost at most
  bool completion = false;        // it is one of /completions
  const EventSink* sink = nullptr;  // null: the answer comes as a whole, and `read` reads it
  std::function<Result<Answer>(std::string_view body)> read;
  std::string id;  // of the request it belongs to
  std::stop_token cancel;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::function<void(const Step& step)> on_failed_step;
  std::shared_ptr<CallNotes> notes;  // where what was sent is counted; may be null
};

class RemoteCaller {
 public:
  /// `options` outlives this. `key` may be empty.
  RemoteCaller(const RemoteOptions& options, std::string key, std::unique_ptr<net::HttpClient> client);

  /// Errors: as Remote::generate.
  Awaitable<Result<Answer>> ask(const Question& question);

 private:
  /// One call: an answer, or an error and whether asking again may help.
  struct Attempt {
    Result<Answer> answer = fail(Code::kInternal, "not asked");
    bool again = false;
    std::optional<std::chrono::milliseconds> pause;
    net::CallTrace trace = {};
    int status = 0;  // 0: none came
  };
  /// What a call has given so far.
  struct Incoming {
    AnswerStream stream;
    std::string whole;
    bool stopped = false;  // by the sink
  };
  Awaitable<Attempt> guarded(const Question& question);
  Awaitable<Attempt> once(const Question& question);
  Awaitable<bool> take_whole(std::string_view piece, Incoming& in, Watchdog& watchdog) const;
  Awaitable<bool> take_piece(std::string_view piece, Incoming& in, const EventSink& sink,
                             Watchdog& watchdog) const;
  net::ClientRequest make_call(const Question& question) const;
  void conclude(const Question& question, const Result<net::ClientResponse>& response, Incoming& in,
                const Watchdog& watchdog, Attempt& out) const;
  void settle(const Question& question, const SpendGuard::Reserved& reserved, const Attempt& attempt,
              double seconds);
  std::chrono::milliseconds next_backoff(unsigned attempt);

  const RemoteOptions& options_;
  std::string key_;
  std::unique_ptr<net::HttpClient> client_;
  CircuitBreaker breaker_;
  SpendGuard spend_;
  std::mutex mutex_;
  Rng rng_;  // for the jitter alone
};

}  // namespace bantam::chat
