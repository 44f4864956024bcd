#include "chat/local.h"

#include <algorithm>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cmath>
#include <future>

#include "base/usage.h"
#include "chat/cancel_scope.h"
#include "chat/local_call.h"
#include "chat/local_embed.h"
#include "chat/local_format.h"
#include "chat/prompt.h"
#include "runtime/drafter.h"
#include "runtime/scheduler.h"

namespace bantam::chat {
namespace {

using runtime::TokenId;
using Ids = std::vector<TokenId>;

/// What a request comes down to: a prompt, and the texts to choose among, if any.
struct Plan {
  Ids prompt;
  std::vector<std::string> answers;  // what the caller sees; empty: generate freely
  std::vector<Ids> choices;          // what the model says for each
  std::vector<std::string> stop;     // of the model's chat template
  double temperature = 1;            // of the choice's calibration
  std::vector<double> prior;         // of the choices, where the task has one
  std::vector<std::string> notes;
  const CallStyle* style = nullptr;    // where tools may be called
  std::unique_ptr<CallReader> reader;  // likewise
};

/// Counts a request whose prompt is being made. It ends before the scheduler counts the same request, which
/// has the last word on how many may wait; a request counted twice would turn another away that has a place.
class Planned {
 public:
  explicit Planned(std::atomic<size_t>& count) : count_(count) { ++count_; }
  Planned(const Planned&) = delete;
  Planned& operator=(const Planned&) = delete;
  ~Planned() { end(); }
  void end() {
    if (!std::exchange(ended_, true)) --count_;
  }

 private:
  std::atomic<size_t>& count_;
  bool ended_ = false;
};

class Local final : public LocalModel {
 public:
  Local(std::shared_ptr<const runtime::Engine> engine, LocalOptions options)
      : engine_(std::move(engine)),
        options_(std::move(options)),
        formats_(engine_),
        scheduler_(
            engine_,
            {.sequences = options_.sessions, .waiting = options_.max_waiting, .kv_bytes = options_.kv_bytes}),
        planners_(2) {
    if (const auto& task = engine_->task()) {
      info_ = TaskInfo{task->name, task->labels, task->calibration.threshold, task->calibrated()};
      if (task->certificate)
        info_->certificate = std::make_shared<const model::Certificate>(*task->certificate);
    }
  }

  const std::string& name() const override { return options_.name; }
  const TaskInfo* task() const override { return info_ ? &*info_ : nullptr; }

  std::shared_ptr<const runtime::Engine> engine() const override { return engine_; }

  ~Local() override { planners_.join(); }

  ModelLoad load() const override {
    const auto load = scheduler_.load();
    return {load.running, load.waiting + planned_.load()};
  }

  Status save_state(const std::string& path) override {
    std::promise<Status> saved;
    auto ticket = scheduler_.look([&](runtime::Session* session) {
      saved.set_value(
          session ? session->save(path)
                  : fail(Code::kInvalidArgument, "{}: found no answer whose state could be saved", path));
    });
    if (!ticket) return std::unexpected(std::move(ticket).error());
    return saved.get_future().get();
  }

  Status load_state(const std::string& path) override {
    BANTAM_ASSIGN(auto session, engine_->new_session());
    BANTAM_TRY(session->restore(path));
    scheduler_.adopt(std::move(session));
    return {};
  }

  Awaitable<Result<Embeddings>> embed(const EmbedRequest& request) override {
    auto found = co_await embed_locally(*engine_, scheduler_, request, name());
    if (found) found->cost = options_.prices.of(found->usage);
    co_return found;
  }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    double start = wall_seconds();
    CancelScope scope(request.cancel, request.deadline);
    auto call = std::make_shared<LocalCall>(request, scope.token(), static_cast<bool>(sink));
    LocalCall::Listener listener(*call, co_await asio::this_coro::executor);
    if (const auto now = load(); now.running + now.waiting >= options_.sessions + options_.max_waiting) {
      co_return fail(Code::kBusy, "{}: {} requests wait already", name(), now.waiting);
    }
    asio::post(planners_, [this, call, planned = std::make_shared<Planned>(planned_)] {
      try {
        if (Status begun = begin(call, *planned); !begun)
          call->finish(std::unexpected(std::move(begun).error()));
      } catch (const std::exception& e) {
        call->finish(fail(Code::kInternal, "{}: {}", name(), e.what()));
      }
    });
    for (LocalCall::Part part = call->take(); !part.done; part = call->take()) {
      bool more = true;
      for (size_t i = 0; more && i < part.events.size(); ++i) more = co_await sink(std::move(part.events[i]));
      if (!more) {
        scope.stop();
        co_return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
      }
      // What has begun ends by itself, soon, and nobody listens.
      if (scope.token().stop_requested()) co_return scope.error(name());
      co_await listener.wait();
    }
    Result<Reply> reply = call->result();
    if (!reply && reply.error().code == Code::kCancelled) co_return scope.error(name());
    if (!reply) co_return reply;
    reply->answered_by = name();
    reply->cost = options_.prices.of(reply->usage);
    Step step;
    step.model = name();
    step.usage = reply->usage;
    step.cost = reply->cost;
    step.seconds = wall_seconds() - start;
    step.confidence = reply->confidence;
    reply->steps.push_back(std::move(step));
    co_return reply;
  }

  /// On a thread of its own: a long text takes time.
  Awaitable<Result<Tokens>> tokenize(const TokenizeRequest& request) override {
    co_return co_await asio::co_spawn(asio::system_executor(), tokens_of(request), asio::use_awaitable);
  }
  Awaitable<Result<std::string>> detokenize(const std::vector<int32_t>& ids) override {
    co_return co_await asio::co_spawn(asio::system_executor(), text_of(ids), asio::use_awaitable);
  }

 private:
  Awaitable<Result<Tokens>> tokens_of(const TokenizeRequest& request) {
    const text::Tokenizer& tokenizer = engine_->tokenizer();
    auto ids = request.prompt.messages.empty()
                   ? tokenizer.encode(request.prompt.prompt, {request.add_special, request.parse_special})
                   : prompt_ids(request.prompt);
    if (!ids) co_return std::unexpected(std::move(ids).error());
    Tokens out{std::move(*ids), {}, static_cast<uint32_t>(engine_->context_length())};
    for (TokenId id : out.ids) out.pieces.push_back(tokenizer.piece(id, /*special=*/true));
    co_return out;
  }
  Awaitable<Result<std::string>> text_of(const std::vector<int32_t>& ids) const {
    const text::Tokenizer& tokenizer = engine_->tokenizer();
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || static_cast<size_t>(ids[i]) >= tokenizer.vocab_size()) {
        co_return fail(Code::kInvalidArgument, "tokens: [{}]: found {}, expected less than {}", i, ids[i],
                       tokenizer.vocab_size());
      }
    }
    co_return tokenizer.decode(ids, /*special=*/true);
  }
  Result<Ids> prompt_ids(const Request& request) {
    BANTAM_TRY(check_supported(request));
    BANTAM_ASSIGN(Plan plan, info_ ? task_plan(request) : chat_plan(request));
    return std::move(plan.prompt);
  }

  /// On a thread of the planners: what takes long before the engine's turn comes.
  Status begin(const std::shared_ptr<LocalCall>& call, Planned& planned) {
    const Request& request = call->request();
    BANTAM_TRY(check_supported(request));
    BANTAM_ASSIGN(Plan made, info_ ? task_plan(request) : chat_plan(request));
    auto plan = std::make_shared<Plan>(std::move(made));
    if (!plan->answers.empty()) return choose(call, plan, planned);
    BANTAM_ASSIGN(auto options, generation_options(*call, *plan));
    planned.end();
    auto done = [this, call, plan, drafter = options.drafter](auto generation) {
      if (drafter && !drafter->problem().empty()) plan->notes.push_back("draft: " + drafter->problem());
      call->finish(written(*call, *plan, std::move(generation)));
    };
    auto ticket = scheduler_.generate(plan->prompt, std::move(options), std::move(done));
    if (!ticket) return std::unexpected(std::move(ticket).error().in(name()));
    return {};
  }

  Status check_supported(const Request& request) const {
    auto refuse = [this](std::string_view field) {
      return fail(Code::kUnsupported, "{}: '{}', which runs here, has no such thing", field, name());
    };
    if (!info_ && request.choices.empty()) return check_tool_choice(request);
    if (may_call(request)) return refuse("tools");
    const Sampling& s = request.sampling;
    if (request.format.kind != ResponseFormat::Kind::kText) return refuse("response_format");
    if (request.logprobs) return refuse("logprobs");
    if (s.frequency_penalty.value_or(0) != 0) return refuse("frequency_penalty");
    if (s.presence_penalty.value_or(0) != 0) return refuse("presence_penalty");
    if (!s.logit_bias.empty()) return refuse("logit_bias");
    return {};
  }

  Status check_tool_choice(const Request& request) const {
    const auto& choice = request.tool_choice;
    const bool needs_one =
        choice.mode == ToolChoice::Mode::kRequired || choice.mode == ToolChoice::Mode::kFunction;
    if (!needs_one ||
        std::ranges::any_of(request.tools, [&](const Tool& tool) { return may_be_called(tool, choice); }))
      return {};
    return fail(Code::kInvalidArgument, "tool_choice: found '{}', expected one of the {} tools",
                choice.function.empty() ? "required" : choice.function, request.tools.size());
  }

  Result<Plan> task_plan(const Request& request) const {
    auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                             [](const Message& m) { return m.role == "user"; });
    if (last == request.messages.rend())
      return fail(Code::kInvalidArgument, "messages: found no user message, which is the task's input");
    Plan plan;
    BANTAM_ASSIGN(plan.prompt, engine_->task_prompt(last->content));
    if (request.messages.size() > 1) {
      plan.notes.push_back(fmt::format(
          "'{}' does one task: its input is the last user message; other messages had no effect", name()));
    }
    plan.temperature = engine_->task()->calibration.temperature;
    auto choices = engine_->task_choices();
    const std::vector<double> prior = engine_->task_prior(last->content);
    if (request.choices.empty()) {
      plan.prior = prior;
      plan.answers = info_->labels;
      plan.choices.assign(choices.begin(), choices.end());
    }
    for (const std::string& wanted : request.choices) {
      auto label = std::find(info_->labels.begin(), info_->labels.end(), wanted);
      if (label == info_->labels.end()) {
        return fail(Code::kInvalidArgument,
                    "guided_choice: found '{}', which is none of the {} labels of '{}'", wanted,
                    info_->labels.size(), name());
      }
      plan.answers.push_back(wanted);
      const auto index = static_cast<size_t>(label - info_->labels.begin());
      plan.choices.push_back(choices[index]);
      if (!prior.empty()) plan.prior.push_back(prior[index]);
    }
    BANTAM_TRY(check_choice(request, plan));
    return plan;
  }

  /// The conversation as a prompt, in the template's own form for tools or, where it refuses that, in the
  /// stated one.
  Result<Prompt> prompt_of(const Request& request, Plan& plan) {
    const bool tools = concerns_tools(request);
    const CallStyle* style = tools ? &formats_.call_style() : nullptr;
    static const CallStyle kNone;
    auto prompt = chat_prompt(*engine_, request, tools ? *style : kNone);
    if (!prompt && tools && style->native) {
      style = &formats_.stated_style();
      const std::string why = prompt.error().message;
      prompt = chat_prompt(*engine_, request, *style);
      if (prompt) prompt->notes.push_back("tools and calls were told to the model in text: " + why);
    }
    if (may_call(request)) plan.style = style;
    return prompt;
  }

  Result<Plan> chat_plan(const Request& request) {
    Plan plan;
    if (request.messages.empty()) {
      BANTAM_ASSIGN(plan.prompt, engine_->tokenizer().encode(request.prompt, {}));
    } else {
      BANTAM_ASSIGN(Prompt prompt, prompt_of(request, plan));
      plan.prompt = std::move(prompt.tokens);
      plan.stop = std::move(prompt.stop);
      plan.notes = std::move(prompt.notes);
    }
    for (const std::string& choice : request.choices) {
      BANTAM_ASSIGN(Ids tokens, engine_->tokenizer().encode(choice, {.add_special = false}));
      plan.answers.push_back(choice);
      plan.choices.push_back(std::move(tokens));
    }
    if (!plan.answers.empty()) BANTAM_TRY(check_choice(request, plan));
    return plan;
  }

  /// What of a request does not go together with choosing.
  Status check_choice(const Request& request, Plan& plan) const {
    if (!request.stop.empty()) {
      return fail(Code::kInvalidArgument,
                  "stop: '{}' answers with one of {} choices, which a stop string would cut", name(),
                  plan.answers.size());
    }
    size_t longest = 0;
    for (const Ids& choice : plan.choices) longest = std::max(longest, choice.size());
    if (request.max_tokens && *request.max_tokens < longest) {
      return fail(Code::kInvalidArgument,
                  "max_tokens: found {}, but the longest of the choices has {} tokens", *request.max_tokens,
                  longest);
    }
    const Sampling& s = request.sampling;
    if (s.temperature.value_or(0) != 0 || s.top_p || s.top_k || s.min_p || s.seed) {
      plan.notes.push_back(fmt::format(
          "'{}' answered with the most probable choice: sampling parameters had no effect", name()));
    }
    return {};
  }

  Status choose(const std::shared_ptr<LocalCall>& call, const std::shared_ptr<Plan>& plan, Planned& planned) {
    size_t longest = 0;
    for (const Ids& choice : plan->choices) longest = std::max(longest, choice.size());
    const auto job = [call, plan](Result<runtime::Session*> session) {
      auto choice = session ? (*session)->choose(plan->prompt, plan->choices, plan->temperature, call->stop(), plan->prior)
                            : std::unexpected(std::move(session).error());
      if (!choice) return call->finish(std::unexpected(std::move(choice).error()));
      Reply reply;
      reply.text = plan->answers[choice->best];
      reply.confidence = choice->confidence();
      reply.choice_shares = choice->probabilities;
      reply.usage = {choice->prompt_tokens, plan->choices[choice->best].size()};
      reply.notes = plan->notes;
      call->put(reply.text);
      call->finish(std::move(reply));
    };
    BANTAM_ASSIGN(auto scales, adapter_scales(call->request()));
    planned.end();
    auto ticket = scheduler_.run(plan->prompt, longest, job, call->stop(), std::move(scales));
    if (!ticket) return std::unexpected(std::move(ticket).error().in(name()));
    return {};
  }

  /// The scale of each adapter that a request wants; none: as the engine has them.
  Result<std::optional<std::vector<float>>> adapter_scales(const Request& request) const {
    if (!request.adapters) return std::nullopt;
    std::vector<float> out(engine_->adapters().size(), 0.0F);
    for (const auto& [index, scale] : *request.adapters) {
      if (index >= out.size()) {
        return fail(Code::kInvalidArgument,
                    "lora: found the id {}, expected less than the {} adapters of '{}'", index, out.size(),
                    name());
      }
      out[index] = scale;
    }
    return out;
  }

  Result<runtime::GenerateOptions> generation_options(LocalCall& call, Plan& plan) {
    const Request& request = call.request();
    runtime::GenerateOptions options;
    auto& sampling = options.sampling;
    sampling = options_.sampling;
    const Sampling& wanted = request.sampling;
    sampling.temperature = wanted.temperature.value_or(sampling.temperature);
    sampling.top_p = wanted.top_p.value_or(sampling.top_p);
    sampling.min_p = wanted.min_p.value_or(sampling.min_p);
    sampling.top_k = wanted.top_k.value_or(sampling.top_k);
    sampling.seed = wanted.seed.value_or(sampling.seed);
    sampling.frequency_penalty = wanted.frequency_penalty.value_or(sampling.frequency_penalty);
    sampling.presence_penalty = wanted.presence_penalty.value_or(sampling.presence_penalty);
    for (const auto& [token, bias] : wanted.logit_bias) {
      sampling.logit_bias.emplace_back(static_cast<TokenId>(std::min<uint32_t>(token, INT32_MAX)), bias);
    }
    if (plan.style) {
      BANTAM_ASSIGN(options.grammar, formats_.call_grammar(request, *plan.style, plan.notes));
      plan.reader = reader_of(request, *plan.style);
    } else {
      BANTAM_ASSIGN(options.grammar, formats_.grammar(request.format, plan.notes));
    }
    BANTAM_ASSIGN(options.adapter_scales, adapter_scales(request));
    if (request.context_shift && !options_.context_shift) {
      return fail(Code::kInvalidArgument,
                  "context_shift: found true, but '{}' was not set up to allow it (serve --context-shift)",
                  name());
    }
    if (request.context_shift) options.shift = runtime::ContextShift{request.context_keep};
    options.max_tokens = request.max_tokens.value_or(engine_->context_length());
    options.stop = request.stop;
    options.stop.insert(options.stop.end(), plan.stop.begin(), plan.stop.end());
    options.cancel = call.stop();
    // The call outlives the job: the job's end holds it.
    options.on_text = [&call, reader = plan.reader.get()](std::string_view text) {
      return reader ? call.put(reader->push(text)) : call.put(text);
    };
    options.paused = [&call] { return call.full(); };
    if (request.draft) options.drafter = request.draft->drafter();
    if (request.logprobs) {
      options.top_logprobs = request.top_logprobs;
      options.on_logprobs = [this, &call](const runtime::TokenLogprobs& token) { call.put(logprob(token)); };
    }
    return options;
  }

  static std::unique_ptr<CallReader> reader_of(const Request& request, const CallStyle& style) {
    using Mode = CallReader::Mode;
    std::vector<std::string> names;
    for (const Tool& tool : request.tools) {
      if (may_be_called(tool, request.tool_choice)) names.push_back(tool.name);
    }
    const Mode mode = request.tool_choice.mode != ToolChoice::Mode::kAuto  ? Mode::kRequired
                      : request.format.kind == ResponseFormat::Kind::kText ? Mode::kAfterText
                                                                           : Mode::kInsteadOfText;
    return std::make_unique<CallReader>(style.form, std::move(names), mode);
  }

  TokenLogprob logprob(const runtime::TokenLogprobs& token) const {
    const auto& tokenizer = engine_->tokenizer();
    TokenLogprob out{tokenizer.piece(token.token), token.logprob};
    for (const auto& [id, value] : token.top) out.top.emplace_back(tokenizer.piece(id), value);
    return out;
  }

  Result<Reply> written(LocalCall& call, const Plan& plan, Result<runtime::Generation> generation) const {
    if (call.stop().stop_requested()) return fail(Code::kCancelled, "cancelled");
    if (!generation) return std::unexpected(std::move(generation).error());
    if (generation->finish == runtime::Finish::kCancelled) return fail(Code::kCancelled, "cancelled");
    Reply reply;
    reply.text = std::move(generation->text);
    reply.finish_reason = generation->finish == runtime::Finish::kLength ? "length" : "stop";
    reply.usage = {generation->prompt_tokens, generation->tokens.size(), generation->cached_tokens,
                   generation->drafted, generation->kept};
    for (const auto& token : generation->logprobs) reply.logprobs.push_back(logprob(token));
    reply.notes = plan.notes;
    if (generation->shifted > 0) reply.notes.push_back(shift_note(*generation));
    if (plan.reader) separate(call, *plan.reader, reply);
    return reply;
  }

  static std::string shift_note(const runtime::Generation& generation) {
    return fmt::format(
        "the context was full: {} tokens of the text so far were forgotten on the way, in {} steps",
        generation.shifted, generation.shifts);
  }

  /// The calls in an answer, and the text before them.
  static void separate(LocalCall& call, CallReader& reader, Reply& reply) {
    call.put(reader.finish());
    reply.text = reader.text();
    reply.tool_calls = reader.calls();
    if (reply.tool_calls.empty()) return;
    if (reply.finish_reason == "stop") reply.finish_reason = "tool_calls";
    size_t bytes = 0, tokens = 0;  // log-probabilities are the text's
    while (tokens < reply.logprobs.size() && bytes < reply.text.size())
      bytes += reply.logprobs[tokens++].text.size();
    reply.logprobs.resize(tokens);
  }

  std::shared_ptr<const runtime::Engine> engine_;
  LocalOptions options_;
  std::optional<TaskInfo> info_;
  LocalFormats formats_;
  std::atomic<size_t> planned_{0};
  // Last, so that their threads end before what they use.
  runtime::Scheduler scheduler_;
  asio::thread_pool planners_;
};

}  // namespace

Result<std::shared_ptr<LocalModel>> make_local(std::shared_ptr<const runtime::Engine> engine,
                                               LocalOptions options) {
  if (options.sessions == 0)
    return fail(Code::kInvalidArgument, "model '{}': sessions: found 0, expected at least 1", options.name);
  BANTAM_TRY(engine->prepare());
  return std::make_shared<Local>(std::move(engine), std::move(options));
}

}  // namespace bantam::chat
