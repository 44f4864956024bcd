#include "cli/responder.h"

#include <algorithm>
#include <numeric>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/local.h"
#include "cli/interrupt.h"
#include "runtime/grammar/grammar.h"

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
    if (engine_->task()->calibrated()) answer.threshold = engine_->task()->calibration.threshold;
    answer.seconds = wall_seconds() - start;
    if (sink) sink(answer.text);
    return answer;
  }

  Status save_state(const std::string& path) override { return session_->save(path); }
  Status load_state(const std::string& path) override { return session_->restore(path); }

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
  TextResponder(std::shared_ptr<const Engine> engine, std::unique_ptr<Session> session, RunOptions options,
                std::shared_ptr<const runtime::Grammar> grammar)
      : engine_(std::move(engine)),
        session_(std::move(session)),
        options_(std::move(options)),
        grammar_(std::move(grammar)) {}

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

  Status save_state(const std::string& path) override { return session_->save(path); }
  Status load_state(const std::string& path) override { return session_->restore(path); }

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
    options.grammar = grammar_;
    options.shift = options_.shift;
    if (options_.draft) options.drafter = options_.draft->drafter();
    BANTAM_ASSIGN(auto generation, session_->generate(tokens, options));
    Answer answer;
    if (options.drafter && !options.drafter->problem().empty())
      answer.notes.push_back("--draft: " + options.drafter->problem());
    if (generation.shifted > 0) {
      answer.notes.push_back(fmt::format(
          "the context was full: {} tokens of the text so far were forgotten on the way, in {} steps",
          generation.shifted, generation.shifts));
    }
    answer.drafted_tokens = generation.drafted;
    answer.accepted_tokens = generation.kept;
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
  std::shared_ptr<const runtime::Grammar> grammar_;
  std::string history_;
};

/// A conversation by the model's chat template. A turn that fails or is interrupted is not remembered.
class ChatResponder final : public Responder {
 public:
  ChatResponder(std::shared_ptr<const Engine> engine, std::shared_ptr<chat::LocalModel> model,
                const RunOptions& options)
      : engine_(std::move(engine)), model_(std::move(model)) {
    request_.max_tokens = options.max_tokens;
    request_.stop = options.stop;
    request_.choices = options.choices;
    if (!options.schema.empty()) {
      request_.format.kind = chat::ResponseFormat::Kind::kJsonSchema;
      request_.format.schema = options.schema;
    } else if (!options.pattern.empty()) {
      request_.format.kind = chat::ResponseFormat::Kind::kPattern;
      request_.format.schema = options.pattern;
    }
    request_.draft = options.draft;
    request_.context_shift = options.shift.has_value();
    if (options.shift) request_.context_keep = options.shift->keep;
  }

  Result<Answer> ask(const std::string& prompt, const TextSink& sink) override {
    double start = wall_seconds();
    chat::Request request = request_;
    request.cancel = Interrupt::token();
    request.messages.push_back({"user", prompt});
    BANTAM_ASSIGN(auto reply, chat::wait(model_->generate(request, chat::text_sink(sink))));
    request_.messages = std::move(request.messages);
    request_.messages.push_back({"assistant", reply.text});
    Answer answer;
    answer.text = std::move(reply.text);
    answer.finish = std::move(reply.finish_reason);
    answer.prompt_tokens = reply.usage.prompt_tokens;
    answer.completion_tokens = reply.usage.completion_tokens;
    answer.drafted_tokens = reply.usage.drafted_tokens;
    answer.accepted_tokens = reply.usage.accepted_tokens;
    answer.confidence = reply.confidence;
    answer.notes = std::move(reply.notes);
    answer.seconds = wall_seconds() - start;
    return answer;
  }

  void reset() override { request_.messages.clear(); }

  Status save_state(const std::string& path) override { return model_->save_state(path); }
  Status load_state(const std::string& path) override { return model_->load_state(path); }

  std::string description() const override {
    return first_line(*engine_) + "\nIt remembers the conversation.";
  }

 private:
  std::shared_ptr<const Engine> engine_;
  std::shared_ptr<chat::LocalModel> model_;
  chat::Request request_;  // what every turn shares, and the messages so far
};

}  // namespace

Result<std::unique_ptr<Responder>> make_responder(std::shared_ptr<const Engine> engine, RunOptions options) {
  for (const std::string& choice : options.choices) {
    if (choice.empty()) return fail(Code::kInvalidArgument, "--choices: found an empty choice");
  }
  const bool formed = !options.schema.empty() || !options.pattern.empty();
  if (formed && (!options.choices.empty() || (engine->task() && !options.raw))) {
    return fail(Code::kInvalidArgument, "--json-schema, --regex: {} answers with one of {} here",
                engine->path(), options.choices.empty() ? "its labels" : "the choices");
  }
  if (options.draft && (!options.choices.empty() || (engine->task() && !options.raw))) {
    return fail(Code::kInvalidArgument,
                "--draft: {} answers with one of {} here, for which no tokens are drafted", engine->path(),
                options.choices.empty() ? "its labels" : "the choices");
  }
  if (engine->task() && !options.raw && options.choices.empty()) {
    BANTAM_ASSIGN(auto session, engine->new_session());
    return std::make_unique<TaskResponder>(std::move(engine), std::move(session));
  }
  if (!engine->chat_template().empty() && !options.raw) {
    BANTAM_ASSIGN(auto model, chat::make_local(engine, {.name = engine->path(),
                                                        .sessions = 1,
                                                        .sampling = options.sampling,
                                                        .context_shift = options.shift.has_value()}));
    return std::make_unique<ChatResponder>(std::move(engine), std::move(model), options);
  }
  BANTAM_ASSIGN(auto session, engine->new_session());
  std::shared_ptr<const runtime::Grammar> grammar;
  if (!options.schema.empty()) {
    BANTAM_ASSIGN(grammar, runtime::Grammar::json_schema(options.schema, engine->vocabulary()));
  } else if (!options.pattern.empty()) {
    BANTAM_ASSIGN(grammar, runtime::Grammar::pattern(options.pattern, engine->vocabulary()));
  }
  return std::make_unique<TextResponder>(std::move(engine), std::move(session), std::move(options),
                                         std::move(grammar));
}

}  // namespace bantam::cli
