#include "collab/speculative.h"

#include <utility>

#include "collab/trace.h"
#include "runtime/drafter.h"
#include "runtime/engine.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::Reply;
using chat::Request;

class Speculative final : public chat::ChatModel {
 public:
  Speculative(SpeculativeOptions options, std::string drafted_by, std::shared_ptr<ChatModel> llm,
              std::shared_ptr<runtime::DraftSource> source)
      : options_(std::move(options)),
        drafted_by_(std::move(drafted_by)),
        llm_(std::move(llm)),
        source_(std::move(source)) {}

  const std::string& name() const override { return options_.name; }

  Awaitable<Result<Reply>> generate(const Request& request, chat::EventSink sink) override {
    Request question = request;
    question.typed_events = false;
    question.draft = source_;
    Result<Reply> reply = co_await llm_->generate(question, std::move(sink));
    if (!reply) co_return reply;
    Trace trace;
    const chat::Usage& usage = reply->usage;
    chat::Step drafts;
    drafts.model = drafted_by_;
    drafts.outcome =
        fmt::format("drafted {} tokens, {} of them kept", usage.drafted_tokens, usage.accepted_tokens);
    trace.add(std::move(drafts));
    co_return trace.finish(std::move(*reply));
  }

  // What the LLM reads and writes is what the team does.
  Awaitable<Result<chat::Tokens>> tokenize(const chat::TokenizeRequest& request) override {
    return llm_->tokenize(request);
  }
  Awaitable<Result<std::string>> detokenize(const std::vector<int32_t>& ids) override {
    return llm_->detokenize(ids);
  }
  std::shared_ptr<const runtime::Engine> engine() const override { return llm_->engine(); }

 private:
  SpeculativeOptions options_;
  std::string drafted_by_;
  std::shared_ptr<ChatModel> llm_;
  std::shared_ptr<runtime::DraftSource> source_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_speculative(std::shared_ptr<chat::ChatModel> slm,
                                                          std::shared_ptr<chat::ChatModel> llm,
                                                          SpeculativeOptions options) {
  const std::string team = fmt::format("team '{}'", options.name);
  if (!llm) return fail(Code::kInvalidArgument, "{}: found no model for llm", team);
  for (const auto* model : {&slm, &llm}) {
    if (!*model || (*model)->engine()) continue;
    return fail(Code::kInvalidArgument,
                "{}: {}: '{}' does not run here, which strategy speculative needs of both", team,
                model == &slm ? "slm" : "llm", (*model)->name());
  }
  if (llm->task()) {
    return fail(Code::kInvalidArgument,
                "{}: llm: '{}' says one of its labels, for which no tokens are drafted", team, llm->name());
  }
  if (!slm)
    return std::make_shared<Speculative>(std::move(options), "lookup", std::move(llm),
                                         runtime::make_lookup_source());
  auto source = runtime::make_draft_source(slm->engine(), *llm->engine());
  if (!source) return std::unexpected(std::move(source).error().in(team));
  return std::make_shared<Speculative>(std::move(options), slm->name(), std::move(llm), std::move(*source));
}

}  // namespace bantam::collab
