#include "chat/remote_call.h"

#include <boost/asio/this_coro.hpp>
#include <random>

#include "base/usage.h"
#include "net/retry.h"

namespace bantam::chat {
namespace {

constexpr std::chrono::milliseconds kEndLimit{
    1000};  // for the connection's last bytes once the answer is whole

}  // namespace

RemoteCaller::RemoteCaller(const RemoteOptions& options, std::string key,
                           std::unique_ptr<net::HttpClient> client)
    : options_(options),
      key_(std::move(key)),
      client_(std::move(client)),
      breaker_(options.breaker),
      spend_(options.limits),
      rng_(std::random_device{}()) {}

Awaitable<Result<Answer>> RemoteCaller::ask(const Question& question) {
  if (question.notes) question.notes->sent = 0;
  if (options_.offline) co_return fail(Code::kUnavailable, "no remote calls are made while offline is set");
  Attempt attempt;
  for (unsigned n = 0;; ++n) {
    attempt = co_await guarded(question);
    if (attempt.answer || !attempt.again || n == options_.max_retries) break;
    auto pause = attempt.pause.value_or(next_backoff(n));
    if (pause > options_.longest_wait) break;
    bool paused = co_await net::pause_for(pause, question.cancel, question.deadline);
    if (!paused) break;
  }
  if (question.cancel.stop_requested() && !attempt.answer) co_return fail(Code::kCancelled, "cancelled");
  co_return std::move(attempt.answer);
}

/// One call, if the breaker and the limits let it be made.
Awaitable<RemoteCaller::Attempt> RemoteCaller::guarded(const Question& question) {
  Attempt out;
  auto permit = breaker_.enter();
  if (!permit) {
    out.answer = std::unexpected(std::move(permit).error());
    co_return out;
  }
  auto reserved = spend_.reserve(question.id, question.worst);
  if (!reserved) {
    out.answer = std::unexpected(std::move(reserved).error());
    co_return out;
  }
  double start = wall_seconds();
  out = co_await once(question);
  if (question.notes && out.trace.request_sent) ++*question.notes->sent;
  settle(question, *reserved, out, wall_seconds() - start);
  bool ours = !out.answer && out.answer.error().code == Code::kCancelled;
  if (out.answer || (out.status / 100 == 4 && out.status != 408 && out.status != 429)) {
    permit->succeeded();
  } else if (!ours && out.status != 429) {
    permit->failed();
  }
  co_return out;
}

void RemoteCaller::settle(const Question& question, const SpendGuard::Reserved& reserved,
                          const Attempt& attempt, double seconds) {
  if (attempt.answer && attempt.answer->usage)
    return spend_.settle(reserved, options_.prices.of(*attempt.answer->usage));
  if (!attempt.trace.request_sent) return spend_.settle(reserved, 0, /*made=*/false);
  if (attempt.status != 0 && attempt.status != 200) return spend_.settle(reserved, 0);
  if (attempt.answer) return;  // of unknown cost: what was set aside stays spent
  // Answered in part, or perhaps: nobody will say what it cost.
  if (!question.on_failed_step) return;
  Step step;
  step.model = options_.name;
  step.cost = reserved.money;
  step.seconds = seconds;
  step.outcome = "failed: " + attempt.answer.error().message;
  question.on_failed_step(step);
}

net::ClientRequest RemoteCaller::make_call(const Question& question) const {
  bool stream = question.sink != nullptr;
  net::ClientRequest call;
  call.method = "POST";
  call.url = *question.url;
  call.body = question.body;
  call.deadline = question.deadline;
  call.headers.reserve(4);
  call.headers.add("content-type", "application/json");
  call.headers.add("accept", stream ? "text/event-stream" : "application/json");
  call.headers.add("user-agent", "bantam/" BANTAM_VERSION);
  if (!key_.empty()) call.headers.add("authorization", "Bearer " + key_);
  return call;
}

Awaitable<bool> RemoteCaller::take_whole(std::string_view piece, Incoming& in, Watchdog& watchdog) const {
  if (in.whole.empty()) watchdog.arm(options_.http.read_timeout);
  in.whole += piece;
  co_return true;
}

/// The limit is for the model's pace: comments that keep a connection alive do not count, nor the time that
/// the sink takes.
Awaitable<bool> RemoteCaller::take_piece(std::string_view piece, Incoming& in, const EventSink& sink,
                                         Watchdog& watchdog) const {
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

Awaitable<RemoteCaller::Attempt> RemoteCaller::once(const Question& question) {
  Watchdog watchdog(co_await asio::this_coro::executor, question.cancel);
  net::ClientRequest call = make_call(question);
  call.cancel = watchdog.token();
  Incoming in{AnswerStream(question.completion), {}, false};
  call.on_body = [&](std::string_view piece) {
    return question.sink ? take_piece(piece, in, *question.sink, watchdog) : take_whole(piece, in, watchdog);
  };
  watchdog.arm(options_.http.connect_timeout + options_.http.first_byte_timeout);
  Attempt out;
  auto response = co_await client_->send(call, &out.trace);
  conclude(question, response, in, watchdog, out);
  co_return out;
}

/// What became of a call.
void RemoteCaller::conclude(const Question& question, const Result<net::ClientResponse>& response,
                            Incoming& in, const Watchdog& watchdog, Attempt& out) const {
  if (response) out.status = response->status;
  if (in.stopped) {
    out.answer = fail(Code::kCancelled, "the caller stopped the answer");
  } else if (!response && (in.stream.failed() || in.stream.done())) {
    out.status = 200;
    out.answer = in.stream.finish();
  } else if (!response && watchdog.fired()) {
    out.answer = fail(Code::kUnavailable, "{}: no {} within {} ms", question.url->authority(),
                      question.sink ? "token" : "answer", watchdog.limit().count());
  } else if (!response) {
    // Once the request has left it may have been answered, and paid for: it is not sent twice.
    out.again = !out.trace.request_sent && response.error().code == Code::kUnavailable;
    out.answer = std::unexpected(response.error());
  } else if (out.status != 200) {
    out.again = net::should_retry(out.status, response->headers);
    out.pause = net::asked_pause(response->headers);
    out.answer = std::unexpected(read_error(out.status, response->body));
  } else {
    out.answer = question.sink ? in.stream.finish() : question.read(in.whole);
  }
}

std::chrono::milliseconds RemoteCaller::next_backoff(unsigned attempt) {
  std::lock_guard lock(mutex_);
  return net::backoff(attempt, rng_);
}

}  // namespace bantam::chat
