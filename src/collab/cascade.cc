#include "collab/cascade.h"

#include <utility>

#include "base/usage.h"
#include "collab/ask.h"
#include "collab/trace.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::EventSink;
using chat::Reply;
using chat::Request;

class Cascade final : public chat::ChatModel {
 public:
  Cascade(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, CascadeOptions options,
          ConfidenceMeter meter)
      : options_(std::move(options)),
        slm_(std::move(slm), {OnLlmFailure::kError, {}, {}, 0}),
        llm_(std::move(llm), options_.llm),
        meter_(std::move(meter)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_.model().task(); }
  bool remote() const override { return slm_.model().remote() || llm_.model().remote(); }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    double start = wall_seconds();
    Request question = request;
    question.typed_events = false;
    question.logprobs = request.logprobs || meter_.needs_logprobs();
    Result<Reply> draft = co_await slm_.ask(question, {});
    Trace trace;
    if (!draft) {
      if (draft.error().code == Code::kCancelled) co_return draft;
      trace.add_failure(slm_.name(), "failed: " + draft.error().message, wall_seconds() - start);
      co_return co_await ask_llm(request, std::move(sink), std::move(draft), std::move(trace));
    }
    chat::Reply own = *draft;
    trace.add(own);
    std::optional<double> confidence = co_await meter_.measure(slm_, request, *draft, trace);
    if (request.cancel.stop_requested())
      co_return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    draft->confidence = confidence;
    draft->steps.clear();
    if (!request.logprobs) draft->logprobs.clear();
    if (confidence && *confidence >= options_.threshold) {
      Reply reply = trace.finish(std::move(*draft));
      co_return co_await hand_over(std::move(reply), sink, name());
    }
    trace.settle_first(confidence ? "below threshold" : "no confidence");
    co_return co_await ask_llm(request, std::move(sink), std::move(draft), std::move(trace));
  }

 private:
  /// `draft` is what the SLM gave, `trace` what was done so far.
  Awaitable<Result<Reply>> ask_llm(const Request& request, EventSink sink, Result<Reply> draft, Trace trace) {
    Request question = request;
    question.typed_events = false;
    add_labels(question, slm_.model());
    bool streamed = false;
    EventSink forward;
    if (sink) {
      forward = [&](chat::Event event) {
        streamed = true;
        return sink(std::move(event));
      };
    }
    double start = wall_seconds();
    Result<Reply> answer = co_await llm_.ask(question, forward);
    if (answer) co_return trace.finish(std::move(*answer));
    if (answer.error().code == Code::kCancelled && request.cancel.stop_requested()) co_return answer;
    if (!draft || streamed || !llm_.falls_back()) co_return answer;
    trace.add_failure(llm_.name(), "failed: " + answer.error().message, wall_seconds() - start);
    Reply reply = trace.finish(std::move(*draft));
    reply.unverified = true;
    co_return co_await hand_over(std::move(reply), sink, name());
  }

  CascadeOptions options_;
  LlmCall slm_, llm_;
  ConfidenceMeter meter_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_cascade(std::shared_ptr<chat::ChatModel> slm,
                                                      std::shared_ptr<chat::ChatModel> llm,
                                                      CascadeOptions options) {
  if (!slm || !llm)
    return fail(Code::kInvalidArgument, "team '{}': found no model for {}", options.name,
                slm ? "llm" : "slm");
  if (!(options.threshold >= 0 && options.threshold <= 1)) {
    return fail(Code::kInvalidArgument, "team '{}': threshold is {}, expected a number in 0..1", options.name,
                options.threshold);
  }
  auto meter = ConfidenceMeter::make(options.confidence);
  if (!meter) return std::unexpected(std::move(meter).error().in(fmt::format("team '{}'", options.name)));
  return std::make_shared<Cascade>(std::move(slm), std::move(llm), std::move(options), std::move(*meter));
}

}  // namespace bantam::collab
