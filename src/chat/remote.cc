#include "chat/remote.h"

#include <cmath>
#include <cstdlib>

#include "base/usage.h"
#include "chat/events.h"
#include "chat/openai_wire.h"
#include "chat/remote_call.h"

namespace bantam::chat {
namespace {

struct Urls {
  net::Url chat, completions, embeddings;
};

class Remote final : public ChatModel {
 public:
  Remote(RemoteOptions options, Urls urls, std::string key, std::unique_ptr<net::HttpClient> client)
      : options_(std::move(options)),
        urls_(std::move(urls)),
        caller_(options_, std::move(key), std::move(client)) {}

  const std::string& name() const override { return options_.name; }
  bool remote() const override { return true; }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    auto reply = co_await ask(request, sink);
    if (!reply) co_return named(std::move(reply).error());
    co_return reply;
  }

  Awaitable<Result<Embeddings>> embed(const EmbedRequest& request) override {
    Question question;
    question.url = &urls_.embeddings;
    question.body = embed_body(options_, request);
    question.worst = worst_cost(question.body, 0);
    question.read = [&](std::string_view body) { return read_embeddings(body, request.inputs.size()); };
    question.notes = request.notes;
    question.id = request.id;
    question.cancel = request.cancel;
    question.deadline = request.deadline;
    auto answer = co_await caller_.ask(question);
    if (!answer) co_return named(std::move(answer).error());
    Embeddings out;
    out.vectors = std::move(answer->vectors);
    if (answer->usage) {
      out.usage = *answer->usage;
      out.cost = options_.prices.of(out.usage);
    } else {
      out.notes.push_back(no_usage());
    }
    co_return out;
  }

 private:
  /// With the model's name before it, unless it begins with that of a field.
  std::unexpected<Error> named(Error error) const {
    if (error.code == Code::kUnsupported) return std::unexpected(std::move(error));
    return std::unexpected(std::move(error).in(fmt::format("remote model '{}'", options_.name)));
  }
  std::string no_usage() const {
    return fmt::format("the API of '{}' gave no usage: tokens and cost are not known", options_.name);
  }

  /// The most a call may cost.
  double worst_cost(const std::string& body, uint64_t answer_tokens) const {
    Usage most;
    most.prompt_tokens =
        static_cast<uint64_t>(std::ceil(static_cast<double>(body.size()) / options_.bytes_per_token));
    most.completion_tokens = answer_tokens;
    return options_.prices.of(most);
  }

  Awaitable<Result<Reply>> ask(const Request& request, const EventSink& sink) {
    double start = wall_seconds();
    bool stream = sink && request.choices.empty();
    Question question;
    question.completion = request.messages.empty();
    auto body = question.completion ? completion_body(options_, request, stream)
                                    : request_body(options_, request, stream);
    if (!body) co_return std::unexpected(std::move(body).error());
    question.url = question.completion ? &urls_.completions : &urls_.chat;
    question.body = std::move(*body);
    question.worst = worst_cost(question.body, request.max_tokens.value_or(options_.max_answer_tokens));
    question.sink = stream ? &sink : nullptr;
    question.read = [&](std::string_view text) { return read_answer(text, question.completion); };
    question.id = request.id;
    question.cancel = request.cancel;
    question.deadline = request.deadline;
    question.on_failed_step = request.on_failed_step;
    question.notes = request.notes;
    auto answer = co_await caller_.ask(question);
    if (!answer) co_return std::unexpected(std::move(answer).error());
    Step step;
    step.model = options_.name;
    step.usage = answer->usage.value_or(Usage{});
    step.cost = options_.prices.of(step.usage);
    step.seconds = wall_seconds() - start;
    auto reply = finish(request, std::move(*answer), step);
    if (!reply && request.on_failed_step) {
      step.outcome = "failed: " + reply.error().message;
      request.on_failed_step(step);
    }
    if (!reply || stream) co_return reply;
    bool taken = co_await send_whole(*reply, sink);
    if (!taken) co_return fail(Code::kCancelled, "the caller stopped the answer");
    co_return reply;
  }

  Result<Reply> finish(const Request& request, Answer answer, const Step& step) {
    if (!answer.refusal.empty() && answer.text.empty())
      return fail(Code::kUnavailable, "the model refused: {}", answer.refusal);
    if (!request.choices.empty()) {
      BANTAM_ASSIGN(answer.text, read_choice(options_.choice_mode, answer.text, request.choices));
    }
    Reply reply;
    if (!request.max_tokens && options_.limits.money()) {
      reply.notes.push_back(fmt::format("'{}' has a limit on money: max_tokens was set to {}", options_.name,
                                        options_.max_answer_tokens));
    }
    reply.text = std::move(answer.text);
    reply.tool_calls = std::move(answer.tool_calls);
    reply.logprobs = std::move(answer.logprobs);
    if (!answer.finish_reason.empty()) reply.finish_reason = std::move(answer.finish_reason);
    reply.answered_by = options_.name;
    reply.usage = step.usage;
    reply.cost = step.cost;
    reply.steps.push_back(step);
    if (!answer.usage) reply.notes.push_back(no_usage());
    return reply;
  }

  RemoteOptions options_;
  Urls urls_;
  RemoteCaller caller_;
};

}  // namespace

Result<std::shared_ptr<ChatModel>> make_remote(RemoteOptions options) {
  while (options.base_url.ends_with('/')) options.base_url.pop_back();
  Urls urls;
  BANTAM_ASSIGN(urls.chat, net::parse_url(options.base_url + "/chat/completions"));
  BANTAM_ASSIGN(urls.completions, net::parse_url(options.base_url + "/completions"));
  BANTAM_ASSIGN(urls.embeddings, net::parse_url(options.base_url + "/embeddings"));
  std::string key;
  if (!options.key_env.empty()) {
    const char* value = std::getenv(options.key_env.c_str());
    if (!value || !*value) {
      return fail(Code::kNotFound, "model '{}': the environment variable {} (its key_env) is not set",
                  options.name, options.key_env);
    }
    key = value;
  }
  BANTAM_ASSIGN(auto client, net::HttpClient::create(options.http));
  return std::make_shared<Remote>(std::move(options), std::move(urls), std::move(key), std::move(client));
}

}  // namespace bantam::chat
