#include "collab/cascade.h"

#include <iterator>
#include <utility>

#include "base/usage.h"
#include "chat/events.h"

namespace bantam::collab {
namespace {

using chat::Reply;
using chat::Request;
using chat::Step;
using chat::Awaitable;
using chat::EventSink;

/// Moves `from` to the end of `to`.
template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Step failed_step(const std::string& model, const Error& error, double seconds) {
  Step step;
  step.model = model;
  step.seconds = seconds;
  step.outcome = "failed: " + error.message;
  return step;
}

class Cascade final : public chat::ChatModel {
 public:
  Cascade(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, CascadeOptions options)
      : slm_(std::move(slm)), llm_(std::move(llm)), options_(std::move(options)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_->task(); }

  bool remote() const override { return slm_->remote() || llm_->remote(); }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    double start = wall_seconds();
    Result<Reply> draft = co_await slm_->generate(request, {});
    if (!draft) {
      if (draft.error().code == Code::kCancelled) co_return draft;
      std::vector<Step> steps{failed_step(slm_->name(), draft.error(), wall_seconds() - start)};
      co_return co_await ask_llm(request, std::move(sink), std::move(draft), std::move(steps));
    }
    if (draft->confidence && *draft->confidence >= options_.threshold)
      co_return co_await hand_over(std::move(*draft), sink);
    std::vector<Step> steps = std::exchange(draft->steps, {});
    for (Step& step : steps) step.outcome = draft->confidence ? "below threshold" : "no confidence";
    co_return co_await ask_llm(request, std::move(sink), std::move(draft), std::move(steps));
  }

 private:
  Awaitable<Result<Reply>> hand_over(Reply reply, const EventSink& sink) {
    bool taken = co_await chat::send_whole(reply, sink);
    if (!taken) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    co_return reply;
  }

  /// `draft` is what the SLM gave, `steps` what was done so far.
  Awaitable<Result<Reply>> ask_llm(const Request& request, EventSink sink, Result<Reply> draft,
                                   std::vector<Step> steps) {
    Request question = request;
    if (question.choices.empty() && slm_->task()) question.choices = slm_->task()->labels;
    bool streamed = false;
    EventSink forward;
    if (sink) {
      forward = [&](chat::Event event) {
        streamed = true;
        return sink(std::move(event));
      };
    }
    double start = wall_seconds();
    Result<Reply> answer = co_await llm_->generate(question, std::move(forward));
    double spent = 0;
    for (const Step& step : steps) spent += step.cost;
    if (answer) {
      append(steps, std::move(answer->steps));
      answer->steps = std::move(steps);
      answer->cost += spent;
      co_return answer;
    }
    if (answer.error().code == Code::kCancelled && request.cancel.stop_requested()) co_return answer;
    if (!draft || streamed || options_.on_llm_failure == OnLlmFailure::kError) co_return answer;
    steps.push_back(failed_step(llm_->name(), answer.error(), wall_seconds() - start));
    draft->steps = std::move(steps);
    draft->unverified = true;
    co_return co_await hand_over(std::move(*draft), sink);
  }

  std::shared_ptr<ChatModel> slm_, llm_;
  CascadeOptions options_;
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
  return std::make_shared<Cascade>(std::move(slm), std::move(llm), std::move(options));
}

}  // namespace bantam::collab
