#include "cli/responder.h"

#include <algorithm>
#include <numeric>

#include "base/usage.h"
#include "cli/interrupt.h"

namespace bantam::cli {
namespace {

using runtime::Engine;
using runtime::Session;

/// Fills in the choice, its probabilities (likeliest first) and confidence.
void set_choice(Answer& answer, const runtime::Choice& choice, const std::vector<std::string>& names) {
  answer.text = names[choice.best];
  answer.confidence = choice.confidence();
  answer.prompt_tokens = choice.prompt_tokens;
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return choice.probabilities[a] > choice.probabilities[b]; });
  for (size_t i : order) answer.probabilities.emplace_back(names[i], choice.probabilities[i]);
}

std::string first_line(const Engine& engine) {
  const model::Config& config = engine.config();
  return fmt::format("{}: {} layers x {}, context of {} tokens", engine.path(), config.layers, config.dim,
                     engine.context_length());
}

/// A task's model: each prompt is classified on its own.
class TaskResponder final : public Responder {
 public:
  TaskResponder(std::shared_ptr<const Engine> engine, std::unique_ptr<Session> session)
      : engine_(std::move(engine)), session_(std::move(session)) {}

  Result<Answer> ask(const std::string& prompt, const TextSink& sink) override {
    double start = wall_seconds();
    BANTAM_ASSIGN(auto choice, engine_->classify(*session_, prompt, Interrupt::token()));
    Answer answer;
    set_choice(answer, choice, engine_->task()->labels);
    answer.completion_tokens = engine_->task_choices()[choice.best].size();
    if (engine_->task()->calibration.target > 0) answer.threshold = engine_->task()->calibration.threshold;
    answer.seconds = wall_seconds() - start;
    if (sink) sink(answer.text);
    return answer;
  }

  std::string description() const override {
    return fmt::format("{}\nEach line is answered with one of the {} labels of the task {}.",
                       first_line(*engine_), engine_->task()->labels.size(), engine_->task()->name);
  }

 private:
  std::shared_ptr<const Engine> engine_;
  std::unique_ptr<Session> session_;
};

/// Continues text; the conversation is the text so far.
class TextResponder final : public Responder {
 public:
  TextResponder(std::shared_ptr<const Engine> engine, std::unique_ptr<Session> session, RunOptions options)
      : engine_(std::move(engine)), session_(std::move(session)), options_(std::move(options)) {}

  Result<Answer> ask(const std::string& prompt, const TextSink& sink) override {
    double start = wall_seconds();
    std::string text = history_ + prompt;
    BANTAM_ASSIGN(auto tokens, engine_->tokenizer().encode(text, {.parse_special = options_.parse_special}));
    BANTAM_ASSIGN(Answer answer, options_.choices.empty() ? generate(tokens, sink) : choose(tokens, sink));
    answer.seconds = wall_seconds() - start;
    history_ = text + answer.text;
    return answer;
  }

  void reset() override { history_.clear(); }

  std::string description() const override {
    return first_line(*engine_) + "\nIt continues the text; what was said before stays part of it.";
  }

 private:
  Result<Answer> generate(const std::vector<text::TokenId>& tokens, const TextSink& sink) {
    runtime::GenerateOptions options;
    options.sampling = options_.sampling;
    options.max_tokens = options_.max_tokens;
    options.stop = options_.stop;
    options.cancel = Interrupt::token();
    options.on_text = sink;
    BANTAM_ASSIGN(auto generation, session_->generate(tokens, options));
    Answer answer;
    answer.text = std::move(generation.text);
    answer.finish = generation.finish == runtime::Finish::kStop     ? "stop"
                    : generation.finish == runtime::Finish::kLength ? "length"
                                                                    : "cancelled";
    answer.prompt_tokens = generation.prompt_tokens;
    answer.completion_tokens = generation.tokens.size();
    answer.tokens = std::move(generation.tokens);
    return answer;
  }

  Result<Answer> choose(const std::vector<text::TokenId>& tokens, const TextSink& sink) {
    std::vector<std::vector<text::TokenId>> choices;
    for (const std::string& choice : options_.choices) {
      BANTAM_ASSIGN(auto ids, engine_->tokenizer().encode(choice, {.add_special = false}));
      choices.push_back(std::move(ids));
    }
    BANTAM_ASSIGN(auto choice, session_->choose(tokens, choices, 1.0, Interrupt::token()));
    Answer answer;
    set_choice(answer, choice, options_.choices);
    answer.tokens = choices[choice.best];
    answer.completion_tokens = answer.tokens.size();
    if (sink) sink(answer.text);
    return answer;
  }

  std::shared_ptr<const Engine> engine_;
  std::unique_ptr<Session> session_;
  RunOptions options_;
  std::string history_;
};

}  // namespace

Result<std::unique_ptr<Responder>> make_responder(std::shared_ptr<const Engine> engine, RunOptions options) {
  for (const std::string& choice : options.choices) {
    if (choice.empty()) return fail(Code::kInvalidArgument, "--choices: found an empty choice");
  }
  BANTAM_ASSIGN(auto session, engine->new_session());
  if (engine->task() && !options.raw && options.choices.empty()) {
    return std::make_unique<TaskResponder>(std::move(engine), std::move(session));
  }
  return std::make_unique<TextResponder>(std::move(engine), std::move(session), std::move(options));
}

}  // namespace bantam::cli
