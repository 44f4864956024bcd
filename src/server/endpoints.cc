#include "server/endpoints.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "net/async_event.h"
#include "server/chat_request.h"
#include "server/embeddings_wire.h"
#include "server/messages_request.h"
#include "server/responses_request.h"
#include "server/text_request.h"
#include "server/tokens_wire.h"

namespace bantam::server {
namespace {

using chat::Awaitable;

/// The text of token ids, which models take in its place. Errors: where the text has other ids, so that
/// nothing but what was asked for is answered; those of tokenize() and detokenize(); all opened by `param`.
Awaitable<Result<std::string>> text_of(chat::ChatModel& model, const std::vector<int32_t>& ids,
                                       std::string param) {
  chat::TokenizeRequest request;
  auto lead = co_await model.tokenize(request);  // what stands before every text
  if (!lead) co_return std::unexpected(std::move(lead).error().in(param));
  const size_t led =
      ids.size() > lead->ids.size() && std::equal(lead->ids.begin(), lead->ids.end(), ids.begin())
          ? lead->ids.size()
          : 0;
  const std::vector<int32_t> said(ids.begin() + static_cast<std::ptrdiff_t>(led), ids.end());
  auto text = co_await model.detokenize(said);
  if (!text) co_return std::unexpected(std::move(text).error().in(param));
  request.prompt.prompt = *text;
  request.add_special = led > 0;
  auto tokens = co_await model.tokenize(request);
  if (!tokens) co_return std::unexpected(std::move(tokens).error().in(param));
  if (tokens->ids == ids) co_return std::move(*text);
  co_return fail(Code::kUnsupported,
                 "{}: found ids that are not how '{}' reads their text; send the text instead", param,
                 model.name());
}

/// Asks for all answers at once, in any order of ending; the first error in the order of the requests counts.
Awaitable<Result<std::vector<chat::Reply>>> answer_all(chat::ChatModel& model,
                                                       const std::vector<chat::Request>& requests) {
  std::vector<chat::Reply> replies;
  if (requests.size() == 1) {
    auto reply = co_await model.generate(requests[0], {});
    if (!reply) co_return std::unexpected(std::move(reply).error());
    replies.push_back(std::move(*reply));
    co_return replies;
  }
  auto executor = co_await boost::asio::this_coro::executor;
  net::AsyncEvent done(executor);
  std::vector<std::optional<Result<chat::Reply>>> results(requests.size());
  size_t left = requests.size();
  auto ask = [](chat::ChatModel& asked, const chat::Request& request,
                std::optional<Result<chat::Reply>>& result, size_t& running,
                net::AsyncEvent& event) -> Awaitable<void> {
    result = co_await asked.generate(request, {});
    if (--running == 0) event.set();
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    boost::asio::co_spawn(
        executor, ask(model, requests[i], results[i], left, done), [&, i](std::exception_ptr thrown) {
          if (!thrown) return;
          results[i] = fail(Code::kInternal, "{}: an exception ended an answer", model.name());
          if (--left == 0) done.set();
        });
  }
  co_await done.wait();
  for (auto& result : results) {
    if (!*result) co_return std::unexpected(std::move(*result).error());
    replies.push_back(std::move(**result));
  }
  co_return replies;
}

}  // namespace

/// An endpoint that generates: how its bodies are read, and in which form it says what is wrong.
struct Endpoints::Generating {
  std::expected<Generation, ApiError> (*read)(std::string_view body, const WireLimits& limits);
};

struct Endpoints::Call {
  net::Exchange& e;
  chat::ChatModel& model;
  Generation& generation;
};

net::ServerResponse json_response(std::string body) {
  return {200, {{"content-type", "application/json"}}, std::move(body)};
}

ApiError no_such_model(const std::string& name) {
  return {.status = 404,
          .message = fmt::format("The model '{}' does not exist.", name.substr(0, 200)),
          .param = "model",
          .code = "model_not_found"};
}

std::vector<net::Route> Endpoints::routes() {
  std::vector<net::Route> out;
  for (auto [path, read] :
       {std::pair("/v1/chat/completions", &read_chat_request),
        std::pair("/v1/completions", &read_text_request), std::pair("/v1/responses", &read_responses_request),
        std::pair("/v1/messages", &read_messages_request)}) {
    out.push_back({"POST", path,
                   [this, endpoint = Generating{read}](net::Exchange& e) { return generate(e, endpoint); }});
  }
  for (auto [path, answer] :
       {std::pair("/v1/embeddings", &Endpoints::embeddings), std::pair("/v1/rerank", &Endpoints::rerank),
        std::pair("/v1/messages/count_tokens", &Endpoints::count_tokens),
        std::pair("/tokenize", &Endpoints::tokenize), std::pair("/detokenize", &Endpoints::detokenize)}) {
    out.push_back({"POST", path, [this, answer](net::Exchange& e) { return (this->*answer)(e); }});
  }
  return out;
}

Endpoints::Asked Endpoints::find(net::Exchange& e, const std::string& name) const {
  Asked out{registry_.find(name), {}};
  auto caller = access_.caller(e.request());
  if (!caller || !caller->may_ask(name)) out.model = nullptr;  // that there is one is not told either
  if (!out.model) e.respond(no_such_model(name).response(e.request()));
  if (caller) out.caller = std::move(caller->name);
  return out;
}

template <class Request>
void Endpoints::equip(const net::Exchange& e, const Asked& asked, Request& request) const {
  request.caller = asked.caller;
  request.id = e.request().id;
  request.cancel = e.request().cancel;
  request.deadline = std::chrono::steady_clock::now() + config_.request_timeout;
}

Awaitable<void> Endpoints::generate(net::Exchange& e, const Generating& endpoint) const {
  auto generation = endpoint.read(e.request().body, {.max_answers = config_.max_answers});
  if (!generation) co_return e.respond(generation.error().response(e.request()));
  Asked asked = find(e, generation->model);
  if (!asked.model) co_return;
  for (chat::Request& request : generation->chats) {
    equip(e, asked, request);
    request.conversation = e.request().headers.get("x-conversation-id").value_or("");
  }
  for (size_t i = 0; i < generation->prompt_ids.size(); ++i) {
    auto text = co_await text_of(*asked.model, generation->prompt_ids[i], "prompt");
    if (!text) co_return refuse(e, text.error());
    generation->chats[i].prompt = std::move(*text);
  }
  Call call{e, *asked.model, *generation};
  if (generation->stream)
    co_await stream(call);
  else
    co_await whole(call);
}

Awaitable<void> Endpoints::whole(Call& call) const {
  auto replies = co_await answer_all(call.model, call.generation.chats);
  if (!replies) {
    log_failure(call.e, call.generation.model, replies.error());
    co_return refuse(call.e, replies.error());
  }
  call.e.respond(json_response(call.generation.format->whole(*replies)));
  for (const chat::Reply& reply : *replies) log_reply(call.e, call.generation.model, reply);
}

/// The status line waits for the first event, so that whatever fails before it is an HTTP error. Several
/// answers come one after the other.
Awaitable<void> Endpoints::stream(Call& call) const {
  ReplyFormat& format = *call.generation.format;
  bool begun = false;
  auto begin = [&]() -> std::string {
    if (std::exchange(begun, true)) return "";
    call.e.begin(200, {{"content-type", "text/event-stream; charset=utf-8"},
                       {"cache-control", "no-cache"},
                       {"x-accel-buffering", "no"}});
    return format.begin();
  };
  std::vector<chat::Reply> replies;
  for (uint32_t index = 0; index < call.generation.chats.size(); ++index) {
    auto sink = [&](chat::Event event) -> Awaitable<bool> {
      std::string bytes = begin();
      bytes += format.event(index, event);
      if (bytes.empty()) co_return true;
      co_return co_await call.e.write(std::move(bytes));
    };
    auto reply = co_await call.model.generate(call.generation.chats[index], sink);
    log_reply(call.e, call.generation.model, reply);
    if (!reply && !begun) co_return refuse(call.e, reply.error());
    if (!reply) {
      co_await call.e.write(format.failure(api_error(reply.error())));
      co_return;
    }
    std::string bytes = begin();
    bytes += format.finish(index, *reply);
    replies.push_back(std::move(*reply));
    if (index + 1 == call.generation.chats.size()) bytes += format.end(replies);
    if (!bytes.empty()) co_await call.e.write(std::move(bytes));
  }
}

/// `ask` gives what a model says to the request, `write` the body of the answer.
template <class Request, class Ask, class Write>
Awaitable<void> Endpoints::answer(net::Exchange& e, std::expected<Request, ApiError> request, Ask ask,
                                  Write write) const {
  if (!request) co_return e.respond(request.error().response(e.request()));
  Asked asked = find(e, request->model);
  if (!asked.model) co_return;
  auto said = co_await ask(asked, *request);
  if (!said) {
    log_failure(e, request->model, said.error());
    co_return refuse(e, said.error());
  }
  e.respond(json_response(write(*request, *said)));
}

Awaitable<Result<chat::Embeddings>> Endpoints::embed(net::Exchange& e, const Asked& asked,
                                                     EmbeddingsRequest& request) const {
  for (size_t i = 0; i < request.ids.size(); ++i) {
    auto text = co_await text_of(*asked.model, request.ids[i], "input");
    if (!text) co_return std::unexpected(std::move(text).error());
    request.embed.inputs.push_back(std::move(*text));
  }
  equip(e, asked, request.embed);
  co_return co_await asked.model->embed(request.embed);
}

Awaitable<void> Endpoints::embeddings(net::Exchange& e) const {
  return answer(
      e, read_embeddings_request(e.request().body),
      [this, &e](auto& asked, auto& request) { return embed(e, asked, request); }, embeddings_reply);
}

Awaitable<void> Endpoints::rerank(net::Exchange& e) const {
  return answer(
      e, read_rerank_request(e.request().body),
      [this, &e](auto& asked, auto& request) {
        equip(e, asked, request.embed);
        return asked.model->embed(request.embed);
      },
      rerank_reply);
}

Awaitable<void> Endpoints::count_tokens(net::Exchange& e) const {
  auto counted = read_count_request(e.request().body, {});
  std::expected<TokenizeRequest, ApiError> read;
  if (counted) {
    read->model = counted->model;
    read->ask.prompt = std::move(counted->chats[0]);
  } else {
    read = std::unexpected(std::move(counted).error());
  }
  return answer(
      e, std::move(read), [](auto& asked, auto& request) { return asked.model->tokenize(request.ask); },
      [](auto&, const chat::Tokens& tokens) { return count_reply(tokens.ids.size()); });
}

Awaitable<void> Endpoints::tokenize(net::Exchange& e) const {
  return answer(
      e, read_tokenize_request(e.request().body),
      [](auto& asked, auto& request) { return asked.model->tokenize(request.ask); }, tokenize_reply);
}

Awaitable<void> Endpoints::detokenize(net::Exchange& e) const {
  return answer(
      e, read_detokenize_request(e.request().body),
      [](auto& asked, auto& request) { return asked.model->detokenize(request.tokens); },
      [](auto&, const std::string& text) { return detokenize_reply(text); });
}

void Endpoints::refuse(net::Exchange& e, const Error& error) const {
  ApiError out = error.code == Code::kCancelled && e.request().cancel.stop_requested()
                     ? api_error(503, "The server is shutting down.")
                     : api_error(error);
  e.respond(out.response(e.request()));
}

void Endpoints::log_failure(const net::Exchange& e, const std::string& model, const Error& error) const {
  if (!log_) return;
  log_(
      fmt::format("{} model={} failed: {}: {}", e.request().id, model, code_name(error.code), error.message));
}

void Endpoints::log_reply(const net::Exchange& e, const std::string& model,
                          const Result<chat::Reply>& reply) const {
  if (!log_) return;
  if (!reply) return log_failure(e, model, reply.error());
  std::string line = fmt::format("{} model={} answered_by={} tokens={}+{} cost={:.6g}", e.request().id, model,
                                 reply->answered_by, reply->usage.prompt_tokens,
                                 reply->usage.completion_tokens, reply->cost);
  if (reply->confidence) line += fmt::format(" confidence={:.4f}", *reply->confidence);
  if (reply->unverified) line += " unverified";
  for (const chat::Step& step : reply->steps)
    line += fmt::format(" step={} {:.1f} ms ({})", step.model, step.seconds * 1000, step.outcome);
  for (const std::string& note : reply->notes) line += " note: " + note;
  log_(line);
  watch_certificate(model);
}

void Endpoints::watch_certificate(const std::string& name) const {
  auto model = registry_.find(name);
  auto state = model ? model->certificate() : std::nullopt;
  if (!state || state->holds) return;
  {
    std::lock_guard lock(mutex_);
    if (!told_.insert(name).second) return;
  }
  log_(fmt::format(
      "team={} its certificate no longer holds: the confidences of {} answers are not distributed as those "
      "it was tested on (evidence {:.3g} to 1); calibrate anew",
      name, state->observed, state->evidence));
}

}  // namespace bantam::server
