#include "collab/pipeline_draft.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/usage.h"
#include "base/utf8.h"
#include "collab/ask.h"
#include "collab/characters.h"
#include "collab/prompt_template.h"
#include "collab/trace.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::EventSink;
using chat::Reply;
using chat::Request;

constexpr std::string_view kDraftPlaces[] = {"request", "draft", "marked", "doubtful", "kept"};
constexpr std::string_view kDraftNeeds[] = {"request"};
constexpr std::string_view kDoubtfulPrompt =
    "{request}\n\n---\nA draft of the answer stands below. What is between ⟦ and ⟧ in it is doubtful. Check "
    "everything against the request, correct what is wrong, keep what is right, and reply with the final "
    "answer "
    "only.\n\n{marked}";
constexpr std::string_view kCompletePrompt =
    "{request}\n\n---\nThe answer begins with the text below. Go on exactly where it ends, and write only "
    "what "
    "follows.\n\n{kept}";

/// Drops what the LLM repeats of the text it was to go on from. It need not be all of it in one piece.
class Continuation {
 public:
  explicit Continuation(std::string kept) : kept_(std::move(kept)) {}
  /// What to pass on now.
  std::string push(std::string_view piece) {
    if (decided_) return std::string(piece);
    held_ += piece;
    bool repeats = std::string_view(kept_).starts_with(std::string_view(held_).substr(0, kept_.size()));
    if (repeats && held_.size() < kept_.size()) return {};
    return decide(repeats);
  }
  std::string finish() { return decided_ ? std::string() : decide(false); }
  bool begun() const { return decided_; }

 private:
  std::string decide(bool repeats) {
    decided_ = true;
    std::string rest = repeats ? held_.substr(kept_.size()) : held_;
    return kept_ + rest;
  }
  std::string kept_, held_;
  bool decided_ = false;
};

struct Draft {
  Reply reply;
  std::vector<Claim> doubtful;
  bool known = false;  // whether anything is known about doubt
};

class DraftTeam final : public chat::ChatModel {
 public:
  DraftTeam(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, DraftOptions options,
            PromptTemplate prompt)
      : options_(std::move(options)),
        slm_(std::move(slm)),
        llm_(std::move(llm), options_.llm),
        prompt_(std::move(prompt)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_->task(); }
  bool remote() const override { return slm_->remote() || llm_.model().remote(); }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    Trace trace;
    double start = wall_seconds();
    Result<Reply> said = co_await draft(request);
    if (!said) {
      if (said.error().code == Code::kCancelled) co_return said;
      trace.add_failure(slm_->name(), said.error(), start);
      co_return co_await ask_plain(request, std::move(sink), std::move(trace));
    }
    Draft d = look_at(std::move(*said), request);
    if (d.known && d.doubtful.empty() && options_.sure_stands)
      co_return co_await hand_over(std::move(d.reply), sink, name());
    trace.add(d.reply, d.known ? "draft" : "draft, doubt unknown");
    if (!d.known)
      trace.note(fmt::format("'{}' gives no log-probabilities: no part of its draft could be called doubtful",
                             slm_->name()));
    co_return co_await finish(request, std::move(sink), std::move(d), std::move(trace));
  }

 private:
  Awaitable<Result<Reply>> draft(const Request& request) {
    Request question = request;
    question.typed_events = false;
    bool labels = !request.choices.empty() || slm_->task();
    question.logprobs = question.logprobs || !labels;
    Result<Reply> reply = co_await slm_->generate(question, {});
    bool without =
        !reply && reply.error().code == Code::kUnsupported && question.logprobs && !request.logprobs;
    if (!without) co_return reply;
    question.logprobs = false;
    reply = co_await slm_->generate(question, {});
    co_return reply;
  }

  Draft look_at(Reply reply, const Request& request) const {
    Draft out;
    bool labels = !request.choices.empty() || slm_->task();
    if (labels) {
      out.known = reply.confidence.has_value();
      if (reply.confidence.value_or(0) < options_.doubt) out.doubtful = {{0, reply.text.size()}};
    } else {
      out.known = !reply.logprobs.empty();
      out.doubtful = doubtful_parts(reply.text, reply.logprobs, options_.doubt);
    }
    if (!request.logprobs) reply.logprobs.clear();
    out.reply = std::move(reply);
    return out;
  }

  std::string marked(const Draft& d) const {
    std::string out;
    size_t at = 0;
    for (const Claim& part : d.doubtful) {
      out += d.reply.text.substr(at, part.begin - at) + options_.open_mark;
      out += std::string(part.of(d.reply.text)) + options_.close_mark;
      at = part.end;
    }
    return out + d.reply.text.substr(at);
  }

  /// Tool calls stand in a draft as lines "name(arguments)".
  static std::string calls_of(const Reply& reply) {
    std::string out;
    for (const chat::ToolCall& call : reply.tool_calls)
      out += fmt::format("\n{}({})", call.name, call.arguments);
    return out;
  }

  Awaitable<Result<Reply>> finish(const Request& request, EventSink sink, Draft d, Trace trace) {
    std::string doubtful;
    for (const Claim& part : d.doubtful) doubtful += std::string(part.of(d.reply.text)) + "\n";
    bool complete = options_.finish == DraftOptions::Finish::kComplete && d.reply.tool_calls.empty();
    std::string kept;
    if (complete && d.known)
      kept = d.reply.text.substr(0, d.doubtful.empty() ? std::string::npos : d.doubtful[0].begin);
    std::string calls = calls_of(d.reply);
    Request question = with_question(request, prompt_.fill({{"request", question_of(request)},
                                                            {"draft", d.reply.text + calls},
                                                            {"marked", marked(d) + calls},
                                                            {"doubtful", doubtful},
                                                            {"kept", kept}}));
    question.typed_events = false;
    add_labels(question, *slm_);
    Continuation joined(kept);
    bool passed_on = false;
    EventSink forward;
    if (sink) {
      forward = [&](chat::Event event) -> Awaitable<bool> {
        if (auto* delta = std::get_if<chat::TextDelta>(&event)) {
          delta->text = joined.push(delta->text);
          if (delta->text.empty()) co_return true;
        }
        passed_on = true;
        bool open = co_await sink(std::move(event));
        co_return open;
      };
    }
    double start = wall_seconds();
    Result<Reply> answer = co_await llm_.ask(question, forward);
    if (!answer)
      co_return co_await llm_failed(request, sink, std::move(d.reply), std::move(trace), std::move(answer),
                                    passed_on, start);
    Continuation whole(kept);
    std::string text = whole.push(answer->text);
    text += whole.finish();
    answer->text = std::move(text);
    if (sink && !joined.begun() && !answer->text.empty()) {
      chat::Event rest = chat::TextDelta{joined.finish(), {}};
      bool open = co_await sink(std::move(rest));
      if (!open) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    }
    co_return trace.finish(std::move(*answer));
  }

  Awaitable<Result<Reply>> llm_failed(const Request& request, const EventSink& sink, Reply draft, Trace trace,
                                      Result<Reply> answer, bool passed_on, double start) {
    if (passed_on || !llm_.falls_back_from(answer.error(), request)) co_return answer;
    trace.add_failure(llm_.name(), answer.error(), start);
    draft.unverified = true;
    Reply reply = trace.finish(std::move(draft));
    co_return co_await hand_over(std::move(reply), sink, name());
  }

  Awaitable<Result<Reply>> ask_plain(const Request& request, EventSink sink, Trace trace) {
    Request question = request;
    question.typed_events = false;
    add_labels(question, *slm_);
    Result<Reply> answer = co_await llm_.ask(question, std::move(sink));
    if (!answer) co_return answer;
    co_return trace.finish(std::move(*answer));
  }

  DraftOptions options_;
  std::shared_ptr<ChatModel> slm_;
  LlmCall llm_;
  PromptTemplate prompt_;
};

}  // namespace

std::vector<Claim> doubtful_parts(std::string_view text, std::span<const chat::TokenLogprob> tokens,
                                  double doubt) {
  std::vector<Claim> out;
  size_t at = 0;
  double limit = doubt > 0 ? std::log(doubt) : -INFINITY;
  for (const chat::TokenLogprob& token : tokens) {
    size_t size = std::min(token.text.size(), text.size() - at);
    if (text.substr(at, size) != std::string_view(token.text).substr(0, size)) return {};
    size_t begin = at, end = at + size;
    at = end;
    if (!(token.logprob < limit)) continue;
    while (begin < end && is_space(text[begin])) ++begin;
    while (end > begin && is_space(text[end - 1])) --end;
    while (begin > 0 && begin < end && continues_character(text[begin])) --begin;
    while (end > begin && end < text.size() && continues_character(text[end])) ++end;
    if (begin == end) continue;
    if (!out.empty() && begin <= out.back().end) {
      out.back().end = std::max(end, out.back().end);
    } else {
      out.push_back({begin, end});
    }
  }
  return out;
}

Result<std::shared_ptr<chat::ChatModel>> make_draft(std::shared_ptr<chat::ChatModel> slm,
                                                    std::shared_ptr<chat::ChatModel> llm,
                                                    DraftOptions options) {
  BANTAM_TRY(check_models(options.name, slm, llm));
  BANTAM_TRY(check_share(options.name, "doubt", options.doubt));
  if (options.prompt.empty())
    options.prompt = options.finish == DraftOptions::Finish::kMend ? kDoubtfulPrompt : kCompletePrompt;
  auto prompt = PromptTemplate::parse(options.prompt, kDraftPlaces, kDraftNeeds);
  if (!prompt)
    return std::unexpected(std::move(prompt).error().in(fmt::format("team '{}': prompt", options.name)));
  return std::make_shared<DraftTeam>(std::move(slm), std::move(llm), std::move(options), std::move(*prompt));
}

}  // namespace bantam::collab
