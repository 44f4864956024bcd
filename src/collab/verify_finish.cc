// How parallel verification ends: what the caller is told once the verdict is there.

#include <algorithm>
#include <utility>

#include "chat/events.h"
#include "collab/verify_race.h"

namespace bantam::collab {

using chat::Awaitable;
using chat::Reply;
using VerdictKind = chat::Verdict::Kind;

Awaitable<bool> VerifyRace::write_text(std::string text) {
  if (!sink_ || text.empty()) co_return true;
  written_ += text;
  bool open = co_await sink_(chat::TextDelta{std::move(text), {}});
  co_return open;
}

Awaitable<bool> VerifyRace::write_verdict(VerdictKind kind, std::string text, const std::string& by) {
  if (!typed_) co_return true;
  bool open = co_await sink_(chat::Verdict{kind, std::move(text), by});
  co_return open;
}

Awaitable<bool> VerifyRace::write_calls(const Reply& reply) {
  if (!sink_) co_return true;
  for (uint32_t i = 0; i < reply.tool_calls.size(); ++i) {
    const chat::ToolCall& call = reply.tool_calls[i];
    bool open = co_await sink_(chat::ToolCallDelta{i, call.id, call.name, call.arguments});
    if (!open) co_return false;
  }
  co_return true;
}

Awaitable<bool> VerifyRace::write_outbox() {
  while (!outbox_.empty()) {
    if (!drafted_) {
      drafted_ = true;
      bool open = co_await write_verdict(VerdictKind::kDraft, {}, parts_.slm.name());
      if (!open) co_return false;
    }
    bool open = co_await write_text(std::exchange(outbox_, {}));
    slm_room_.set();
    if (!open) co_return false;
  }
  co_return true;
}

Result<Reply> VerifyRace::gone() {
  const Beside& slm = *slm_;
  if (!sink_closed_ && slm.done() && !slm_->reply()) return slm_->reply();
  return fail(Code::kCancelled, "{}: the caller stopped the answer", parts_.options.name);
}

Awaitable<Result<Reply>> VerifyRace::keep_slm(Outcome outcome) {
  bool stopped = llm_ && !llm_->done();
  if (stopped) llm_->stop();
  co_await join();
  Reply reply = std::move(*slm_->reply());
  trace_.add(reply, outcome == Outcome::kNoLlm ? "unverified" : "");
  if (llm_ && llm_->reply()) {
    trace_.add(*llm_->reply(), outcome == Outcome::kAgree ? "agrees" : "not needed");
  } else if (llm_) {
    std::string what = !stopped                     ? "failed: " + llm_->reply().error().message
                       : outcome == Outcome::kNoLlm ? "failed: no verdict in time"
                                                    : "cancelled: not needed";
    if (stopped)
      trace_.note(
          fmt::format("'{}' was cancelled; what it had cost until then is not counted", parts_.llm.name()));
    trace_.add_failure(parts_.llm.name(), std::move(what), llm_->seconds());
  }
  if (judge_reply_) trace_.add(*judge_reply_, "judged: the same");
  if (judge_error_) trace_.add_failure(parts_.llm.name(), "failed: " + judge_error_->message, 0.0);
  reply.unverified = outcome == Outcome::kNoLlm;
  outbox_ += held_.flush();
  // A model may say more in its reply than it streamed, when it streams nothing.
  if (sink_ && slm_text_.empty()) outbox_ = reply.text;
  bool open = co_await write_outbox();
  if (open && outcome == Outcome::kAgree)
    open = co_await write_verdict(VerdictKind::kVerified, {}, parts_.llm.name());
  if (open) open = co_await write_calls(reply);
  if (!open) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", parts_.options.name);
  co_return trace_.finish(std::move(reply));
}

/// Writes `before`, the LLM's text from byte `skip` on as it comes, and `after`; false when the caller is
/// gone.
Awaitable<bool> VerifyRace::stream_llm(std::string_view before, std::string_view after, size_t skip) {
  size_t sent = skip;
  bool begun = false;
  llm_speaks_ = true;
  while (true) {
    bool whole = llm_->done();
    if (whole && !llm_->reply()) co_return true;  // the caller of this looks
    const std::string& text = whole ? llm_->reply()->text : llm_text_;
    if (text.size() > sent || whole) {
      std::string part = begun ? "" : std::string(before);
      if (text.size() > sent) part += text.substr(sent);
      sent = std::max(sent, text.size());
      begun = llm_spoke_ = true;
      if (whole) part += after;
      bool open = co_await write_text(std::move(part));
      llm_room_.set();
      if (!open) co_return false;
    }
    if (whole) co_return true;
    co_await changed_.wait();
  }
}

Awaitable<Result<Reply>> VerifyRace::llm_lost() {
  slm_->stop();
  abandoned_ = true;
  bool stopped = llm_ && !llm_->done();
  if (stopped) llm_->stop();
  co_await join();
  if (judge_error_) co_return std::unexpected(*judge_error_);
  if (!stopped && !llm_->reply()) co_return llm_->reply();
  co_return fail(Code::kUnavailable, "{}: '{}' gave no verdict in time", parts_.options.name,
                 parts_.llm.name());
}

Awaitable<Result<Reply>> VerifyRace::take_llm(Outcome outcome) {
  abandoned_ = true;
  bool slm_whole = slm_->done() && slm_->reply();
  if (!slm_->done()) slm_->stop();
  slm_room_.set();
  bool open = true;
  if (sink_ && !typed_) {
    // What was sent is part of the LLM's answer: that can be seen once so much of it is there.
    while (!llm_->done() && llm_text_.size() < written_.size()) co_await changed_.wait();
    const std::string& text = llm_->done() && llm_->reply() ? llm_->reply()->text : llm_text_;
    bool failed = llm_->done() && !llm_->reply();
    if (!failed && text.starts_with(written_)) {
      open = co_await stream_llm({}, {}, written_.size());
    } else if (!failed) {
      std::string frame = parts_.correction.fill({{"answer", std::string_view("\0", 1)}});
      size_t at = frame.find('\0');
      open = co_await stream_llm(std::string_view(frame).substr(0, at),
                                 std::string_view(frame).substr(at + 1), 0);
    }
  }
  if (!open) {
    sink_closed_ = true;
    llm_->stop();
  }
  co_await join();
  if (!open) co_return gone();
  if (!llm_->reply()) {
    bool cancelled = request_.cancel.stop_requested();
    if (slm_whole && parts_.llm.falls_back() && !llm_spoke_ && !cancelled)
      co_return co_await keep_slm(Outcome::kNoLlm);
    co_return llm_->reply();
  }
  const char* became = outcome == Outcome::kOvertaken ? "overtaken" : "overruled";
  if (slm_->reply()) {
    trace_.add(*slm_->reply(), became);
  } else {
    bool failed = outcome == Outcome::kNoSlm;
    trace_.add_failure(parts_.slm.name(), failed ? "failed: " + slm_->reply().error().message : became,
                       slm_->seconds());
  }
  Reply reply = std::move(*llm_->reply());
  if (judge_reply_) trace_.add(*judge_reply_, "judged: not the same");
  // Arguments of awaited calls are made before: g++ 12 destroys some temporaries twice there.
  bool same = outcome == Outcome::kOvertaken;
  if (typed_ && (!drafted_ || same)) {
    std::string rest = reply.text.substr(written_.size());
    open = co_await write_text(std::move(rest));
  }
  if (open && typed_ && drafted_) {
    VerdictKind kind = same ? VerdictKind::kVerified : VerdictKind::kRevised;
    std::string text = same ? std::string() : reply.text;
    open = co_await write_verdict(kind, std::move(text), parts_.llm.name());
  }
  if (open) open = co_await write_calls(reply);
  if (!open) co_return gone();
  if (sink_ && !typed_) reply.text = written_;
  co_return trace_.finish(std::move(reply));
}

}  // namespace bantam::collab
