#include "collab/verify.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "collab/ask.h"
#include "collab/prompt_template.h"
#include "collab/verify_race.h"

namespace bantam::collab {
namespace {

constexpr std::string_view kJudgePlaces[] = {"request", "first", "second"};
constexpr std::string_view kJudgeNeeds[] = {"first", "second"};
constexpr std::string_view kCorrectionPlaces[] = {"answer"};
constexpr std::string_view kJudgePrompt =
    "Request:\n{request}\n\nFirst answer:\n{first}\n\nSecond answer:\n{second}\n\nDo both answers say the "
    "same, as "
    "far as it matters to whoever asked? Answer yes or no.";

class Verify final : public chat::ChatModel {
 public:
  Verify(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, VerifyOptions options,
         PromptTemplate judge, PromptTemplate correction)
      : options_(std::move(options)),
        // The SLM's failure is not queued for: the LLM is at work already.
        slm_(std::move(slm), {OnLlmFailure::kError, {}, {}, 0}),
        llm_(std::move(llm), options_.llm),
        judge_(std::move(judge)),
        correction_(std::move(correction)) {}

  const std::string& name() const override { return options_.name; }
  const chat::TaskInfo* task() const override { return slm_.model().task(); }
  bool remote() const override { return slm_.model().remote() || llm_.model().remote(); }

  chat::Awaitable<Result<chat::Reply>> generate(const chat::Request& request, chat::EventSink sink) override {
    VerifyRace race({options_, slm_, llm_, judge_, correction_}, request, sink,
                    co_await boost::asio::this_coro::executor);
    co_return co_await race.run();
  }

 private:
  VerifyOptions options_;
  LlmCall slm_, llm_;
  PromptTemplate judge_, correction_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_verify(std::shared_ptr<chat::ChatModel> slm,
                                                     std::shared_ptr<chat::ChatModel> llm,
                                                     VerifyOptions options) {
  BANTAM_TRY(check_models(options.name, slm, llm));
  BANTAM_TRY(check_share(options.name, "agreement bound", options.agreement.bound));
  if (options.stands_at) BANTAM_TRY(check_share(options.name, "stands_at", *options.stands_at));
  if (options.judge_prompt.empty()) options.judge_prompt = kJudgePrompt;
  auto context = [&](std::string_view key) { return fmt::format("team '{}': {}", options.name, key); };
  auto judge = PromptTemplate::parse(options.judge_prompt, kJudgePlaces, kJudgeNeeds);
  if (!judge) return std::unexpected(std::move(judge).error().in(context("judge_prompt")));
  auto correction = PromptTemplate::parse(options.correction, kCorrectionPlaces, kCorrectionPlaces);
  if (!correction) return std::unexpected(std::move(correction).error().in(context("correction")));
  return std::make_shared<Verify>(std::move(slm), std::move(llm), std::move(options), std::move(*judge),
                                  std::move(*correction));
}

}  // namespace bantam::collab
