#include "collab/pipeline_check.h"

#include <algorithm>
#include <utility>

#include "base/usage.h"
#include "collab/ask.h"
#include "collab/pass_on.h"
#include "collab/prompt_template.h"
#include "collab/trace.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::EventSink;
using chat::Reply;
using chat::Request;

constexpr std::string_view kCheckPlaces[] = {"claim", "sources"};
constexpr std::string_view kMendPlaces[] = {"request", "draft", "marked", "unsupported"};
constexpr std::string_view kMendNeeds[] = {"request"};
constexpr std::string_view kCheckPrompt =
    "Source:\n{sources}\n\nStatement: {claim}\n\nDoes the source support the statement? Answer yes or no.";
constexpr std::string_view kUnsupportedPrompt =
    "{request}\n\n---\nA draft of the answer stands below. Nothing in the request supports these parts of "
    "it:\n"
    "{unsupported}\nWrite the answer anew, with supported statements only.\n\n{draft}";

Sources sources_of(const Request& request) {
  Sources out;
  for (size_t i = 0; i < request.messages.size(); ++i) {
    const chat::Message& m = request.messages[i];
    if (m.role == "assistant" || m.content.empty()) continue;
    out.texts.push_back(m.content);
    out.names.push_back(fmt::format("message {} ({})", i + 1, m.role));
  }
  if (request.messages.empty()) {
    out.texts.push_back(request.prompt);
    out.names.push_back("the prompt");
  }
  return out;
}

/// std::vector<bool> gives no span.
struct Flags {
  explicit Flags(size_t n) : bytes(new bool[n]()), size(n) {}
  std::unique_ptr<bool[]> bytes;
  size_t size;
  bool& operator[](size_t i) { return bytes[i]; }
  std::span<const bool> view() const { return {bytes.get(), size}; }
  size_t missing() const { return static_cast<size_t>(std::ranges::count(view(), false)); }
};

class CheckTeam final : public chat::ChatModel {
 public:
  CheckTeam(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, CheckOptions options,
            PromptTemplate check, PromptTemplate prompt)
      : options_(std::move(options)),
        slm_(std::move(slm), {OnLlmFailure::kError, {}, {}, 0}),
        llm_(std::move(llm), options_.llm),
        check_(std::move(check)),
        prompt_(std::move(prompt)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_.model().task(); }
  bool remote() const override { return slm_.model().remote() || llm_.model().remote(); }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    Trace trace;
    double start = wall_seconds();
    Request question = request;
    question.typed_events = false;
    Result<Reply> draft = co_await slm_.ask(question, {});
    if (!draft) {
      if (draft.error().code == Code::kCancelled) co_return draft;
      trace.add_failure(slm_.name(), draft.error(), start);
      add_labels(question, slm_.model());
      Result<Reply> answer = co_await llm_.ask(question, std::move(sink));
      if (!answer) co_return answer;
      co_return trace.finish(std::move(*answer));
    }
    trace.add(*draft);
    std::vector<Claim> claims = claims_of(draft->text, options_.split);
    Flags supported(claims.size());
    Status checked = co_await check(request, draft->text, claims, supported, trace);
    if (!checked) {
      bool gone = request.cancel.stop_requested();
      if (gone || !llm_.falls_back()) co_return std::unexpected(std::move(checked).error());
      draft->unverified = true;
      trace.note("the check failed: " + checked.error().message);
      co_return co_await give(std::move(*draft), sink, std::move(trace));
    }
    size_t missing = supported.missing();
    trace.note(fmt::format("{} of {} claims are supported", claims.size() - missing, claims.size()));
    if (missing == 0) co_return co_await give(std::move(*draft), sink, std::move(trace));
    co_return co_await act(request, std::move(sink), std::move(*draft), claims, supported, std::move(trace));
  }

 private:
  Awaitable<Result<Reply>> give(Reply reply, const EventSink& sink, Trace trace) {
    Reply whole = trace.finish(std::move(reply));
    co_return co_await hand_over(std::move(whole), sink, name());
  }

  Awaitable<Status> check(const Request& request, const std::string& text, const std::vector<Claim>& claims,
                          Flags& supported, Trace& trace) {
    Sources sources = sources_of(request);
    if (options_.by == CheckOptions::By::kWords) {
      std::string all;
      for (const std::string& source : sources.texts) all += source + "\n";
      for (size_t i = 0; i < claims.size(); ++i)
        supported[i] = lexical_support(claims[i].of(text), all) >= options_.bound;
      co_return Status{};
    }
    LlmCall& checker = options_.by == CheckOptions::By::kSlm ? slm_ : llm_;
    std::vector<Chunk> open = cut(sources.texts, options_.chunk_bytes);
    // Part by part, so that a claim that an early part supports costs no more questions.
    for (size_t next = 0; next < open.size() && supported.missing() > 0; ++next) {
      std::vector<Request> questions;
      std::vector<size_t> asked;
      for (size_t i = 0; i < claims.size(); ++i) {
        if (supported[i]) continue;
        std::string prompt =
            check_.fill({{"claim", claims[i].of(text)}, {"sources", sources.of(open[next])}});
        questions.push_back(side_question(request, std::move(prompt), {options_.yes, options_.no}));
        asked.push_back(i);
      }
      auto replies = co_await ask_all(checker, std::move(questions), options_.parallel);
      bool too_long = false;
      for (size_t k = 0; k < asked.size(); ++k) {
        if (replies[k]) {
          trace.add(*replies[k], "checked");
          supported[asked[k]] = share_of_yes(*replies[k], options_.yes) >= options_.bound;
          continue;
        }
        too_long = replies[k].error().code == Code::kLimit;
        auto halves = halved(sources.texts[open[next].source], open[next]);
        if (!too_long || !halves) co_return std::unexpected(std::move(replies[k]).error());
        open.push_back(halves->first);
        open.push_back(halves->second);
        break;
      }
    }
    co_return Status{};
  }

  Awaitable<Result<Reply>> act(const Request& request, EventSink sink, Reply draft,
                               const std::vector<Claim>& claims, const Flags& supported, Trace trace) {
    std::string marked =
        without_unsupported(draft.text, claims, supported.view(), Unsupported::kMark, options_.mark);
    if (options_.then == CheckOptions::Then::kMark) {
      draft.text = std::move(marked);
      co_return co_await give(std::move(draft), sink, std::move(trace));
    }
    if (options_.then == CheckOptions::Then::kRemove) {
      std::string rest = without_unsupported(draft.text, claims, supported.view(), Unsupported::kRemove, {});
      if (!claims_of(rest, options_.split).empty()) {
        draft.text = std::move(rest);
        co_return co_await give(std::move(draft), sink, std::move(trace));
      }
    }
    trace.settle_first("sent up");
    co_return co_await send_up(request, std::move(sink), std::move(draft), claims, supported,
                               std::move(marked), std::move(trace));
  }

  Awaitable<Result<Reply>> send_up(const Request& request, EventSink sink, Reply draft,
                                   const std::vector<Claim>& claims, const Flags& supported,
                                   std::string marked, Trace trace) {
    std::string unsupported;
    for (size_t i = 0; i < claims.size(); ++i) {
      if (!supported.view()[i]) unsupported += std::string(claims[i].of(draft.text)) + "\n";
    }
    Request question = with_question(request, prompt_.fill({{"request", question_of(request)},
                                                            {"draft", draft.text},
                                                            {"marked", marked},
                                                            {"unsupported", unsupported}}));
    question.typed_events = false;
    add_labels(question, slm_.model());
    PassOn forward(sink);
    double start = wall_seconds();
    Result<Reply> answer = co_await llm_.ask(question, forward.sink());
    if (answer) co_return trace.finish(std::move(*answer));
    if (forward.begun() || !llm_.falls_back_from(answer.error(), request)) co_return answer;
    trace.add_failure(llm_.name(), answer.error(), start);
    draft.text = std::move(marked);
    draft.unverified = true;
    co_return co_await give(std::move(draft), sink, std::move(trace));
  }

  CheckOptions options_;
  LlmCall slm_, llm_;
  PromptTemplate check_, prompt_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_check(std::shared_ptr<chat::ChatModel> slm,
                                                    std::shared_ptr<chat::ChatModel> llm,
                                                    CheckOptions options) {
  BANTAM_TRY(check_models(options.name, slm, llm));
  BANTAM_TRY(check_reading(options));
  BANTAM_TRY(check_share(options.name, "bound", options.bound));
  if (options.check_prompt.empty()) options.check_prompt = kCheckPrompt;
  if (options.prompt.empty()) options.prompt = kUnsupportedPrompt;
  auto context = [&](std::string_view key) { return fmt::format("team '{}': {}", options.name, key); };
  auto check = PromptTemplate::parse(options.check_prompt, kCheckPlaces, kCheckPlaces);
  if (!check) return std::unexpected(std::move(check).error().in(context("check_prompt")));
  auto prompt = PromptTemplate::parse(options.prompt, kMendPlaces, kMendNeeds);
  if (!prompt) return std::unexpected(std::move(prompt).error().in(context("prompt")));
  return std::make_shared<CheckTeam>(std::move(slm), std::move(llm), std::move(options), std::move(*check),
                                     std::move(*prompt));
}

}  // namespace bantam::collab
