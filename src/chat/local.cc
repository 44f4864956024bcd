#include "chat/local.h"

#include <algorithm>

#include "base/usage.h"
#include "chat/cancel_scope.h"
#include "chat/prompt.h"
#include "chat/session_pool.h"

namespace bantam::chat {
namespace {

using runtime::TokenId;
using Tokens = std::vector<TokenId>;

/// What a request comes down to: a prompt, and the texts to choose among, if any.
struct Job {
  Tokens prompt;
  std::vector<std::string> answers;  // what the caller sees; empty: generate freely
  std::vector<Tokens> choices;       // what the model says for each
  std::vector<std::string> stop;     // of the model's chat template
  double temperature = 1;            // of the choice's calibration
  std::vector<std::string> notes;
};

class Local final : public ChatModel {
 public:
  Local(std::shared_ptr<const runtime::Engine> engine, LocalOptions options)
      : engine_(std::move(engine)), options_(std::move(options)), sessions_(engine_, options_.sessions) {
    if (const auto& task = engine_->task()) {
      info_ = TaskInfo{task->name, task->labels, task->calibration.threshold, task->calibration.target > 0};
    }
  }

  const std::string& name() const override { return options_.name; }
  const TaskInfo* task() const override { return info_ ? &*info_ : nullptr; }

  Result<Reply> generate(const Request& request, const TextSink& sink) override {
    double start = wall_seconds();
    auto job = info_ ? task_job(request) : chat_job(request);
    if (!job) return std::unexpected(std::move(job).error());
    CancelScope scope(request.cancel, request.deadline);
    auto session = sessions_.borrow(scope.token());
    if (!session && session.error().code == Code::kCancelled) return scope.error(name());
    if (!session) return std::unexpected(std::move(session).error());
    auto reply = job->answers.empty() ? write(request, *job, **session, scope, sink)
                                      : choose(*job, **session, scope, sink);
    if (!reply) return reply;
    reply->notes = std::move(job->notes);
    reply->answered_by = name();
    reply->cost = options_.prices.of(reply->usage);
    Step step;
    step.model = name();
    step.usage = reply->usage;
    step.cost = reply->cost;
    step.seconds = wall_seconds() - start;
    step.confidence = reply->confidence;
    reply->steps.push_back(std::move(step));
    return reply;
  }

 private:
  Result<Job> task_job(const Request& request) const {
    auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                             [](const Message& m) { return m.role == "user"; });
    if (last == request.messages.rend())
      return fail(Code::kInvalidArgument, "messages: found no user message, which is the task's input");
    Job job;
    BANTAM_ASSIGN(job.prompt, engine_->task_prompt(last->content));
    if (request.messages.size() > 1) {
      job.notes.push_back(fmt::format(
          "'{}' does one task: its input is the last user message; other messages had no effect", name()));
    }
    job.temperature = engine_->task()->calibration.temperature;
    auto choices = engine_->task_choices();
    if (request.choices.empty()) {
      job.answers = info_->labels;
      job.choices.assign(choices.begin(), choices.end());
    }
    for (const std::string& wanted : request.choices) {
      auto label = std::find(info_->labels.begin(), info_->labels.end(), wanted);
      if (label == info_->labels.end()) {
        return fail(Code::kInvalidArgument,
                    "guided_choice: found '{}', which is none of the {} labels of '{}'", wanted,
                    info_->labels.size(), name());
      }
      job.answers.push_back(wanted);
      job.choices.push_back(choices[static_cast<size_t>(label - info_->labels.begin())]);
    }
    BANTAM_TRY(check_choice(request, job));
    return job;
  }

  Result<Job> chat_job(const Request& request) const {
    Job job;
    BANTAM_ASSIGN(Prompt prompt, chat_prompt(*engine_, request.messages));
    job.prompt = std::move(prompt.tokens);
    job.stop = std::move(prompt.stop);
    job.notes = std::move(prompt.notes);
    for (const std::string& choice : request.choices) {
      BANTAM_ASSIGN(Tokens tokens, engine_->tokenizer().encode(choice, {.add_special = false}));
      job.answers.push_back(choice);
      job.choices.push_back(std::move(tokens));
    }
    if (!job.answers.empty()) BANTAM_TRY(check_choice(request, job));
    return job;
  }

  /// What of a request does not go together with choosing.
  Status check_choice(const Request& request, Job& job) const {
    if (!request.stop.empty()) {
      return fail(Code::kInvalidArgument,
                  "stop: '{}' answers with one of {} choices, which a stop string would cut", name(),
                  job.answers.size());
    }
    size_t longest = 0;
    for (const Tokens& choice : job.choices) longest = std::max(longest, choice.size());
    if (request.max_tokens && *request.max_tokens < longest) {
      return fail(Code::kInvalidArgument,
                  "max_tokens: found {}, but the longest of the choices has {} tokens", *request.max_tokens,
                  longest);
    }
    const Sampling& s = request.sampling;
    if (s.temperature.value_or(0) != 0 || s.top_p || s.top_k || s.min_p || s.seed) {
      job.notes.push_back(fmt::format(
          "'{}' answered with the most probable choice: sampling parameters had no effect", name()));
    }
    return {};
  }

  Result<Reply> choose(const Job& job, runtime::Session& session, const CancelScope& scope,
                       const TextSink& sink) const {
    auto choice = session.choose(job.prompt, job.choices, job.temperature, scope.token());
    if (scope.token().stop_requested()) return scope.error(name());
    if (!choice) return std::unexpected(std::move(choice).error());
    Reply reply;
    reply.text = job.answers[choice->best];
    reply.confidence = choice->confidence();
    reply.usage = {choice->prompt_tokens, job.choices[choice->best].size()};
    if (sink && !sink(reply.text)) return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    return reply;
  }

  Result<Reply> write(const Request& request, const Job& job, runtime::Session& session,
                      const CancelScope& scope, const TextSink& sink) const {
    runtime::GenerateOptions options;
    options.sampling.temperature = request.sampling.temperature.value_or(options.sampling.temperature);
    options.sampling.top_p = request.sampling.top_p.value_or(options.sampling.top_p);
    options.sampling.min_p = request.sampling.min_p.value_or(options.sampling.min_p);
    options.sampling.top_k = request.sampling.top_k.value_or(options.sampling.top_k);
    options.sampling.seed = request.sampling.seed.value_or(options.sampling.seed);
    options.max_tokens = request.max_tokens.value_or(engine_->context_length());
    options.stop = request.stop;
    options.stop.insert(options.stop.end(), job.stop.begin(), job.stop.end());
    options.cancel = scope.token();
    bool sink_stopped = false;
    if (sink) {
      options.on_text = [&](std::string_view text) {
        sink_stopped = !sink(text);
        return !sink_stopped;
      };
    }
    auto generation = session.generate(job.prompt, options);
    if (sink_stopped) return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    if (scope.token().stop_requested()) return scope.error(name());
    if (!generation) return std::unexpected(std::move(generation).error());
    Reply reply;
    reply.text = std::move(generation->text);
    reply.finish_reason = generation->finish == runtime::Finish::kLength ? "length" : "stop";
    reply.usage = {generation->prompt_tokens, generation->tokens.size()};
    return reply;
  }

  std::shared_ptr<const runtime::Engine> engine_;
  LocalOptions options_;
  std::optional<TaskInfo> info_;
  SessionPool sessions_;
};

}  // namespace

Result<std::shared_ptr<ChatModel>> make_local(std::shared_ptr<const runtime::Engine> engine,
                                              LocalOptions options) {
  if (options.sessions == 0)
    return fail(Code::kInvalidArgument, "model '{}': sessions: found 0, expected at least 1", options.name);
  return std::make_shared<Local>(std::move(engine), std::move(options));
}

}  // namespace bantam::chat
