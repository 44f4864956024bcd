#include "collab/cascade.h"

#include <utility>

#include "base/usage.h"
#include "collab/ask.h"
#include "collab/pass_on.h"
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
          ConfidenceMeter meter, std::unique_ptr<DriftWatch> watch)
      : options_(std::move(options)),
        slm_(std::move(slm), {OnLlmFailure::kError, {}, {}, 0}),
        llm_(std::move(llm), options_.llm),
        meter_(std::move(meter)),
        watch_(std::move(watch)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_.model().task(); }
  bool remote() const override { return slm_.model().remote() || llm_.model().remote(); }
  std::optional<chat::CertificateState> certificate() const override {
    if (!watch_) return std::nullopt;
    return watch_->state();
  }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    double start = wall_seconds();
    Request question = request;
    question.typed_events = false;
    // Labels and choices have a confidence of their own, and no log-probabilities.
    bool chooses = task() || !request.choices.empty();
    question.logprobs = request.logprobs || (meter_.needs_logprobs() && !chooses);
    Result<Reply> draft = co_await slm_.ask(question, {});
    Trace trace;
    if (!draft) {
      if (draft.error().code == Code::kCancelled) co_return draft;
      trace.add_failure(slm_.name(), draft.error(), start);
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
    bool drifted = observe(request, confidence, trace);
    if (confidence && *confidence >= options_.threshold && !drifted) {
      Reply reply = trace.finish(std::move(*draft));
      co_return co_await hand_over(std::move(reply), sink, name());
    }
    trace.settle_first(!confidence                        ? "no confidence"
                       : *confidence < options_.threshold ? "below threshold"
                                                          : "certificate no longer holds");
    co_return co_await ask_llm(request, std::move(sink), std::move(draft), std::move(trace));
  }

 private:
  /// True when for drift no answer of the SLM stands.
  bool observe(const Request& request, std::optional<double> confidence, Trace& trace) const {
    if (!watch_) return false;
    // A choice among other labels than the task's has confidences of another distribution.
    if (confidence && request.choices.empty()) watch_->observe(*confidence);
    if (watch_->state().holds) return false;
    trace.note(watch_->message());
    return options_.drift.then == OnDrift::kSendUp;
  }

  /// `draft` is what the SLM gave, `trace` what was done so far.
  Awaitable<Result<Reply>> ask_llm(const Request& request, EventSink sink, Result<Reply> draft, Trace trace) {
    Request question = request;
    question.typed_events = false;
    add_labels(question, slm_.model());
    PassOn forward(sink);
    double start = wall_seconds();
    Result<Reply> answer = co_await llm_.ask(question, forward.sink());
    if (answer) co_return trace.finish(std::move(*answer));
    if (!draft || forward.begun() || !llm_.falls_back_from(answer.error(), request)) co_return answer;
    trace.add_failure(llm_.name(), answer.error(), start);
    Reply reply = trace.finish(std::move(*draft));
    reply.unverified = true;
    co_return co_await hand_over(std::move(reply), sink, name());
  }

  CascadeOptions options_;
  LlmCall slm_, llm_;
  ConfidenceMeter meter_;
  std::unique_ptr<DriftWatch> watch_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_cascade(std::shared_ptr<chat::ChatModel> slm,
                                                      std::shared_ptr<chat::ChatModel> llm,
                                                      CascadeOptions options) {
  BANTAM_TRY(check_models(options.name, slm, llm));
  BANTAM_TRY(check_share(options.name, "threshold", options.threshold));
  auto meter = ConfidenceMeter::make(options.confidence);
  if (!meter) return std::unexpected(std::move(meter).error().in(fmt::format("team '{}'", options.name)));
  std::unique_ptr<DriftWatch> watch;
  if (options.drift.certificate) {
    auto made = DriftWatch::create(options.drift);
    if (!made) return std::unexpected(std::move(made).error().in(fmt::format("team '{}'", options.name)));
    watch = std::move(*made);
  }
  return std::make_shared<Cascade>(std::move(slm), std::move(llm), std::move(options), std::move(*meter),
                                   std::move(watch));
}

}  // namespace bantam::collab
