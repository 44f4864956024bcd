#include "collab/verify_race.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/usage.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::Reply;
using chat::Request;

// Text that may wait for a slow caller before its producer is made to wait.
constexpr size_t kOutboxBytes = 1 << 16;

size_t pieces_held(const VerifyOptions& options, const Request& request, bool plain_sink) {
  if (request.typed_events) return 0;
  return plain_sink && options.hold_back ? *options.hold_back : static_cast<size_t>(-1);
}

std::string last_user_text(const Request& request) {
  for (auto m = request.messages.rbegin(); m != request.messages.rend(); ++m) {
    if (m->role == "user") return m->content;
  }
  return request.prompt;
}

}  // namespace

VerifyRace::VerifyRace(VerifyParts parts, const Request& request, const chat::EventSink& sink,
                       boost::asio::any_io_executor executor)
    : parts_(parts),
      request_(request),
      sink_(sink),
      executor_(executor),
      changed_(executor),
      slm_room_(executor),
      llm_room_(executor),
      typed_(request.typed_events && sink),
      held_(pieces_held(parts.options, request, static_cast<bool>(sink))) {}

void VerifyRace::start_slm() { slm_.emplace(executor_, parts_.slm, request_, slm_sink(), changed_); }

void VerifyRace::start_llm() {
  Request question = request_;
  question.typed_events = false;
  if (const chat::TaskInfo* task = parts_.slm.model().task(); task && question.choices.empty())
    question.choices = task->labels;
  llm_.emplace(executor_, parts_.llm, std::move(question), llm_sink(), changed_);
}

chat::EventSink VerifyRace::slm_sink() {
  return [this](chat::Event event) -> Awaitable<bool> {
    first_word_ = true;
    if (auto* delta = std::get_if<chat::TextDelta>(&event)) {
      slm_text_ += delta->text;
      outbox_ += held_.push(delta->text);
    } else if (std::holds_alternative<chat::ToolCallDelta>(event)) {
      called_tools_ = true;
    }
    changed_.set();
    while (outbox_.size() > kOutboxBytes && !abandoned_ && !sink_closed_) co_await slm_room_.wait();
    co_return !abandoned_ && !sink_closed_;
  };
}

chat::EventSink VerifyRace::llm_sink() {
  return [this](chat::Event event) -> Awaitable<bool> {
    if (auto* delta = std::get_if<chat::TextDelta>(&event)) {
      llm_text_ += delta->text;
    } else if (std::holds_alternative<chat::ToolCallDelta>(event)) {
      called_tools_ = true;
    }
    changed_.set();
    while (llm_speaks_ && llm_text_.size() > written_.size() + kOutboxBytes && !sink_closed_)
      co_await llm_room_.wait();
    co_return !sink_closed_;
  };
}

bool VerifyRace::answer_stands(const Reply& reply) const {
  const VerifyOptions& o = parts_.options;
  if (o.stands_at && reply.confidence && *reply.confidence >= *o.stands_at) return true;
  auto safe = [&](const chat::ToolCall& call) {
    return std::ranges::find(o.safe_tools, call.name) != o.safe_tools.end();
  };
  return !reply.tool_calls.empty() && std::ranges::all_of(reply.tool_calls, safe);
}

VerifyRace::Outcome VerifyRace::compare() {
  bool slm_whole = slm_->done(), llm_whole = llm_ && llm_->done();
  const std::string& slm_text = slm_whole ? slm_->reply()->text : slm_text_;
  const std::string& llm_text = llm_whole ? llm_->reply()->text : llm_text_;
  if (slm_whole && llm_whole) {
    const Reply &a = *slm_->reply(), &b = *llm_->reply();
    if (a.tool_calls.empty() != b.tool_calls.empty()) return Outcome::kDisagree;
    if (!a.tool_calls.empty())
      return same_calls(a.tool_calls, b.tool_calls) ? Outcome::kAgree : Outcome::kDisagree;
  } else {
    if (llm_whole && !slm_whole && !called_tools_ && llm_text.starts_with(slm_text))
      return Outcome::kOvertaken;
    // Whoever calls tools may say something beside; and a long text is not compared for each of its tokens.
    size_t size = slm_text.size() + llm_text.size();
    if (called_tools_ || size < compared_at_ + compared_at_ / 8) return Outcome::kOpen;
    compared_at_ = size;
  }
  Agreement agreement = parts_.options.agreement;
  if (!request_.choices.empty() || task_labels()) agreement.measure = Measure::kEqual;
  // What is equal need not be judged.
  bool judged = agreement.measure == Measure::kJudge;
  if (judged && slm_whole && llm_whole) agreement.measure = Measure::kNormalised;
  Match match = compare_texts(agreement, slm_text, slm_whole, llm_text, llm_whole);
  if (match == Match::kAgree) return Outcome::kAgree;
  return match == Match::kDisagree && !judged ? Outcome::kDisagree : Outcome::kOpen;
}

VerifyRace::Outcome VerifyRace::decide() {
  if (sink_closed_ || request_.cancel.stop_requested()) return Outcome::kCallerGone;
  bool slm_done = slm_->done();
  if (slm_done && slm_end_ == Clock::time_point{}) slm_end_ = Clock::now();
  if (slm_done && !slm_->reply()) return Outcome::kNoSlm;
  if (slm_done && answer_stands(*slm_->reply())) return Outcome::kStands;
  bool late = slm_done && parts_.options.patience && Clock::now() >= slm_end_ + *parts_.options.patience;
  bool failed = llm_ && llm_->done() && !llm_->reply();
  // An answer that may still stand goes on; one that is not to go out without the LLM's word ends here.
  if (failed && (slm_done || !parts_.llm.falls_back())) return Outcome::kNoLlm;
  if (!llm_ || failed) return Outcome::kOpen;
  Outcome found = compare();
  return found == Outcome::kOpen && late ? Outcome::kNoLlm : found;
}

std::optional<VerifyRace::Clock::time_point> VerifyRace::next_look() const {
  if (!llm_) return start_ + parts_.options.head_start;
  if (slm_->done() && parts_.options.patience) return slm_end_ + *parts_.options.patience;
  return std::nullopt;
}

Awaitable<VerifyRace::Outcome> VerifyRace::watch() {
  start_slm();
  while (true) {
    bool open = co_await write_outbox();
    sink_closed_ = !open;
    Outcome found = decide();
    if (found != Outcome::kOpen && found != Outcome::kNoSlm) co_return found;
    bool due = first_word_ || slm_->done() || Clock::now() >= start_ + parts_.options.head_start;
    if (!llm_ && due) start_llm();
    if (found == Outcome::kNoSlm) co_return found;
    bool both = slm_->done() && llm_ && llm_->done() && slm_->reply() && llm_->reply();
    if (both) co_return co_await ask_judge();
    co_await changed_.wait(next_look());
  }
}

Awaitable<VerifyRace::Outcome> VerifyRace::ask_judge() {
  Request question;
  question.messages.push_back({"user", parts_.judge.fill({{"request", last_user_text(request_)},
                                                          {"first", slm_->reply()->text},
                                                          {"second", llm_->reply()->text}})});
  question.choices = {"yes", "no"};
  question.conversation = request_.conversation;
  question.caller = request_.caller;
  question.id = request_.id;
  question.cancel = request_.cancel;
  question.deadline = request_.deadline;
  if (parts_.options.patience) {
    auto end = slm_end_ + *parts_.options.patience;
    question.deadline = question.deadline ? std::min(*question.deadline, end) : end;
  }
  Result<Reply> said = co_await parts_.llm.ask(question, {});
  if (!said) {
    if (request_.cancel.stop_requested()) co_return Outcome::kCallerGone;
    judge_error_ = std::move(said).error();
    co_return Outcome::kNoLlm;
  }
  judge_reply_ = std::move(*said);
  co_return judge_reply_->text == "yes" ? Outcome::kAgree : Outcome::kDisagree;
}

Awaitable<void> VerifyRace::join() {
  slm_room_.set();
  llm_room_.set();
  while (!slm_->done() || (llm_ && !llm_->done())) co_await changed_.wait();
}

Awaitable<Result<Reply>> VerifyRace::run() {
  Outcome outcome = co_await watch();
  if (outcome == Outcome::kCallerGone) {
    slm_->stop();
    if (llm_) llm_->stop();
    co_await join();
    co_return gone();
  }
  bool slm_stays = outcome == Outcome::kStands || outcome == Outcome::kAgree ||
                   (outcome == Outcome::kNoLlm && parts_.llm.falls_back());
  if (outcome == Outcome::kNoLlm && !slm_stays) co_return co_await llm_lost();
  if (slm_stays) co_return co_await keep_slm(outcome);
  co_return co_await take_llm(outcome);
}

}  // namespace bantam::collab
