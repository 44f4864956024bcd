#include "chat/remote.h"

#include <cstdlib>
#include <mutex>
#include <random>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/openai_wire.h"
#include "chat/retry.h"

namespace bantam::chat {
namespace {

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
      attempt = co_await once(request, *body, stream ? &sink : nullptr);
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

  /// `sink`: null for an answer as a whole.
  Awaitable<Attempt> once(const Request& request, const std::string& body, const EventSink* sink) {
    net::ClientRequest call;
    call.method = "POST";
    call.url = url_;
    call.body = body;
    call.cancel = request.cancel;
    call.deadline = request.deadline;
    call.headers = {{"content-type", "application/json"},
                    {"accept", sink ? "text/event-stream" : "application/json"},
                    {"user-agent", "bantam/" BANTAM_VERSION}};
    if (!key_.empty()) call.headers.set("authorization", "Bearer " + key_);
    AnswerStream stream;
    bool stopped = false;
    if (sink) {
      call.on_body = [&](std::string_view piece) -> Awaitable<bool> {
        bool good = stream.feed(piece);
        auto events = stream.take();
        for (Event& event : events) {
          bool more = co_await (*sink)(std::move(event));
          if (!more) {
            stopped = true;
            co_return false;
          }
        }
        co_return good;
      };
    }
    net::CallTrace trace;
    auto response = co_await client_->send(call, &trace);
    Attempt out;
    if (stopped) {
      out.answer = fail(Code::kCancelled, "the caller stopped the answer");
    } else if (!response && (stream.failed() || stream.done())) {
      out.answer = stream.finish();
    } else if (!response) {
      // Once the request has left it may have been answered, and paid for: it is not sent twice.
      out.again = !trace.request_sent && response.error().code == Code::kUnavailable;
      out.answer = std::unexpected(std::move(response).error());
    } else if (response->status != 200) {
      out.again = should_retry(response->status, response->headers);
      out.pause = asked_pause(response->headers);
      out.answer = std::unexpected(read_error(response->status, response->body));
    } else {
      out.answer = sink ? stream.finish() : read_answer(response->body);
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
