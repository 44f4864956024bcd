#include "chat/remote.h"

#include <boost/asio/this_coro.hpp>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <random>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/openai_wire.h"
#include "chat/retry.h"
#include "chat/watchdog.h"

namespace bantam::chat {
namespace {

constexpr std::chrono::milliseconds kEndLimit{1000};  // for the connection's last bytes once the answer is whole

/// One call: an answer, or an error and whether asking again may help.
struct Attempt {
  Result<Answer> answer = fail(Code::kInternal, "not asked");
  bool again = false;
  std::optional<std::chrono::milliseconds> pause;
};

class Remote final : public ChatModel {
 public:
  Remote(RemoteOptions options, net::Url url, std::string key, std::unique_ptr<net::HttpClient> client)
      : options_(std::move(options)),
        url_(std::move(url)),
        key_(std::move(key)),
        client_(std::move(client)),
        breaker_(options_.breaker),
        spend_(options_.limits),
        rng_(std::random_device{}()) {}

  const std::string& name() const override { return options_.name; }

  bool remote() const override { return true; }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    auto reply = co_await ask(request, sink);
    if (reply) co_return reply;
    // Those begin with a field's name.
    bool of_a_field = reply.error().code == Code::kUnsupported;
    if (of_a_field) co_return reply;
    co_return std::unexpected(std::move(reply).error().in(fmt::format("remote model '{}'", options_.name)));
  }

 private:
  Awaitable<Result<Reply>> ask(const Request& request, const EventSink& sink) {
    if (options_.offline)
      co_return fail(Code::kUnavailable, "no remote calls are made while offline is set");
    double start = wall_seconds();
    bool stream = sink && request.choices.empty();
    auto body = request_body(options_, request, stream);
    if (!body) co_return std::unexpected(std::move(body).error());
    Attempt attempt;
    for (unsigned n = 0;; ++n) {
      attempt = co_await guarded(request, *body, stream ? &sink : nullptr);
      if (attempt.answer || !attempt.again || n == options_.max_retries) break;
      auto pause = attempt.pause.value_or(next_backoff(n));
      if (pause > options_.longest_wait) break;
      bool paused = co_await pause_for(pause, request.cancel, request.deadline);
      if (!paused) break;
    }
    if (request.cancel.stop_requested() && !attempt.answer) co_return fail(Code::kCancelled, "cancelled");
    if (!attempt.answer) co_return std::unexpected(std::move(attempt.answer).error());
    auto reply = finish(request, std::move(*attempt.answer), wall_seconds() - start);
    if (!reply || stream) co_return reply;
    bool taken = co_await send_whole(*reply, sink);
    if (!taken) co_return fail(Code::kCancelled, "the caller stopped the answer");
    co_return reply;
  }

  /// The most a call may cost.
  double worst_cost(const Request& request, const std::string& body) const {
    Usage most;
    most.prompt_tokens =
        static_cast<uint64_t>(std::ceil(static_cast<double>(body.size()) / options_.bytes_per_token));
    most.completion_tokens = request.max_tokens.value_or(options_.max_answer_tokens);
    return options_.prices.of(most);
  }

  /// One call, if the breaker and the limits let it be made. `sink`: null for an answer as a whole.
  Awaitable<Attempt> guarded(const Request& request, const std::string& body, const EventSink* sink) {
    Attempt out;
    auto permit = breaker_.enter();
    if (!permit) {
      out.answer = std::unexpected(std::move(permit).error());
      co_return out;
    }
    auto reserved = spend_.reserve(request.id, worst_cost(request, body));
    if (!reserved) {
      out.answer = std::unexpected(std::move(reserved).error());
      co_return out;
    }
    double start = wall_seconds();
    net::CallTrace trace;
    int status = 0;  // 0: none came
    out = co_await once(request, body, sink, trace, status);
    settle(request, *reserved, out, trace, status, wall_seconds() - start);
    bool ours = !out.answer && out.answer.error().code == Code::kCancelled;
    if (out.answer || (status / 100 == 4 && status != 408 && status != 429)) {
      permit->succeeded();
    } else if (!ours && status != 429) {
      permit->failed();
    }
    co_return out;
  }

  void settle(const Request& request, const SpendGuard::Reserved& reserved, const Attempt& attempt,
              const net::CallTrace& trace, int status, double seconds) {
    if (attempt.answer && attempt.answer->usage)
      return spend_.settle(reserved, options_.prices.of(*attempt.answer->usage));
    if (!trace.request_sent) return spend_.settle(reserved, 0, /*made=*/false);
    if (status != 0 && status != 200) return spend_.settle(reserved, 0);
    if (attempt.answer) return;  // of unknown cost: what was set aside stays spent
    // Answered in part, or perhaps: nobody will say what it cost.
    if (request.on_failed_step) {
      Step step;
      step.model = options_.name;
      step.cost = reserved.money;
      step.seconds = seconds;
      step.outcome = "failed: " + attempt.answer.error().message;
      request.on_failed_step(step);
    }
  }

  net::ClientRequest make_call(const Request& request, const std::string& body, bool stream) const {
    net::ClientRequest call;
    call.method = "POST";
    call.url = url_;
    call.body = body;
    call.deadline = request.deadline;
    call.headers = {{"content-type", "application/json"},
                    {"accept", stream ? "text/event-stream" : "application/json"},
                    {"user-agent", "bantam/" BANTAM_VERSION}};
    if (!key_.empty()) call.headers.set("authorization", "Bearer " + key_);
    return call;
  }

  /// What a call has given so far.
  struct Incoming {
    AnswerStream stream;
    std::string whole;
    bool stopped = false;  // by the sink
  };

  Awaitable<bool> take_whole(std::string_view piece, Incoming& in, Watchdog& watchdog) const {
    if (in.whole.empty()) watchdog.arm(options_.http.read_timeout);
    in.whole += piece;
    co_return true;
  }

  /// The limit is for the model's pace: comments that keep a connection alive do not count, nor the time that the
  /// sink takes.
  Awaitable<bool> take_piece(std::string_view piece, Incoming& in, const EventSink& sink, Watchdog& watchdog) const {
    bool good = in.stream.feed(piece);
    auto events = in.stream.take();
    if (!events.empty()) watchdog.disarm();
    for (Event& event : events) {
      bool more = co_await sink(std::move(event));
      if (!more) {
        in.stopped = true;
        co_return false;
      }
    }
    if (in.stream.done()) {
      watchdog.arm(kEndLimit);
    } else if (!events.empty()) {
      watchdog.arm(options_.http.read_timeout);
    }
    co_return good;
  }

  Awaitable<Attempt> once(const Request& request, const std::string& body, const EventSink* sink,
                          net::CallTrace& trace, int& status) {
    Watchdog watchdog(co_await asio::this_coro::executor, request.cancel);
    net::ClientRequest call = make_call(request, body, sink != nullptr);
    call.cancel = watchdog.token();
    Incoming in;
    call.on_body = [&](std::string_view piece) {
      return sink ? take_piece(piece, in, *sink, watchdog) : take_whole(piece, in, watchdog);
    };
    watchdog.arm(options_.http.connect_timeout + options_.http.first_byte_timeout);
    auto response = co_await client_->send(call, &trace);
    Attempt out;
    if (response) status = response->status;
    if (in.stopped) {
      out.answer = fail(Code::kCancelled, "the caller stopped the answer");
    } else if (!response && (in.stream.failed() || in.stream.done())) {
      status = 200;
      out.answer = in.stream.finish();
    } else if (!response && watchdog.fired()) {
      out.answer = fail(Code::kUnavailable, "{}: no {} within {} ms", url_.authority(),
                        sink ? "token" : "answer", watchdog.limit().count());
    } else if (!response) {
      // Once the request has left it may have been answered, and paid for: it is not sent twice.
      out.again = !trace.request_sent && response.error().code == Code::kUnavailable;
      out.answer = std::unexpected(std::move(response).error());
    } else if (status != 200) {
      out.again = should_retry(status, response->headers);
      out.pause = asked_pause(response->headers);
      out.answer = std::unexpected(read_error(status, response->body));
    } else {
      out.answer = sink ? in.stream.finish() : read_answer(in.whole);
    }
    co_return out;
  }

  Result<Reply> finish(const Request& request, Answer answer, double seconds) {
    if (!answer.refusal.empty() && answer.text.empty())
      return fail(Code::kUnavailable, "the model refused: {}", answer.refusal);
    if (!request.choices.empty()) {
      BANTAM_ASSIGN(answer.text, read_choice(options_.choice_mode, answer.text, request.choices));
    }
    Reply reply;
    if (!request.max_tokens && options_.limits.money()) {
      reply.notes.push_back(fmt::format("'{}' has a limit on money: max_tokens was set to {}", options_.name,
                                        options_.max_answer_tokens));
    }
    reply.text = std::move(answer.text);
    reply.tool_calls = std::move(answer.tool_calls);
    reply.logprobs = std::move(answer.logprobs);
    if (!answer.finish_reason.empty()) reply.finish_reason = std::move(answer.finish_reason);
    reply.answered_by = options_.name;
    if (answer.usage) {
      reply.usage = *answer.usage;
      reply.cost = options_.prices.of(reply.usage);
    } else {
      reply.notes.push_back(
          fmt::format("the API of '{}' gave no usage: tokens and cost are not known", options_.name));
    }
    Step step;
    step.model = options_.name;
    step.usage = reply.usage;
    step.cost = reply.cost;
    step.seconds = seconds;
    reply.steps.push_back(std::move(step));
    return reply;
  }

  std::chrono::milliseconds next_backoff(unsigned attempt) {
    std::lock_guard lock(mutex_);
    return backoff(attempt, rng_);
  }

  RemoteOptions options_;
  net::Url url_;
  std::string key_;
  std::unique_ptr<net::HttpClient> client_;
  CircuitBreaker breaker_;
  SpendGuard spend_;
  std::mutex mutex_;
  Rng rng_;  // for the jitter alone
};

}  // namespace

Result<std::shared_ptr<ChatModel>> make_remote(RemoteOptions options) {
  while (options.base_url.ends_with('/')) options.base_url.pop_back();
  BANTAM_ASSIGN(net::Url url, net::parse_url(options.base_url + "/chat/completions"));
  std::string key;
  if (!options.key_env.empty()) {
    const char* value = std::getenv(options.key_env.c_str());
    if (!value || !*value) {
      return fail(Code::kNotFound, "model '{}': the environment variable {} (its key_env) is not set",
                  options.name, options.key_env);
    }
    key = value;
  }
  BANTAM_ASSIGN(auto client, net::HttpClient::create(options.http));
  return std::make_shared<Remote>(std::move(options), std::move(url), std::move(key), std::move(client));
}

}  // namespace bantam::chat
