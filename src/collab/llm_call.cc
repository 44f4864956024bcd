#include "collab/llm_call.h"

#include <algorithm>
#include <utility>

#include "collab/pass_on.h"
#include "net/async_event.h"

namespace bantam::collab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLongestPause{30'000};

/// Counts a request among those that wait, for as long as it lives.
class Place {
 public:
  explicit Place(std::atomic<size_t>& count) : count_(count), before_(count.fetch_add(1)) {}
  ~Place() { --count_; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  /// How many waited already.
  size_t before() const { return before_; }

 private:
  std::atomic<size_t>& count_;
  size_t before_;
};

}  // namespace

chat::Awaitable<Result<chat::Reply>> LlmCall::ask(const chat::Request& request, chat::EventSink sink) {
  PassOn forward(sink);
  Result<chat::Reply> reply = co_await model_->generate(request, forward.sink());
  auto retriable = [&] {
    bool passes = !reply && (reply.error().code == Code::kUnavailable || reply.error().code == Code::kBusy);
    return passes && !forward.begun();
  };
  if (rule_.on_failure != OnLlmFailure::kQueue || !retriable()) co_return reply;
  const Place place(*waiting_);
  if (place.before() >= rule_.queue_size) {
    co_return fail(Code::kBusy, "{}: {} requests wait for it already: {}", name(), place.before(),
                   reply.error().message);
  }
  Clock::time_point end = Clock::now() + rule_.queue_wait;
  if (request.deadline) end = std::min(end, *request.deadline);
  for (auto pause = rule_.retry_pause; retriable(); pause = std::min(2 * pause, kLongestPause)) {
    if (Clock::now() + pause >= end) co_return reply;
    bool slept = co_await net::sleep_until(Clock::now() + pause, request.cancel);
    if (!slept) co_return fail(Code::kCancelled, "{}: cancelled while waiting for it to come back", name());
    reply = co_await model_->generate(request, forward.sink());
  }
  co_return reply;
}

}  // namespace bantam::collab
