#include "server/endpoints.h"

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

net::ServerResponse json_response(std::string body) {
  return {200, {{"content-type", "application/json"}}, std::move(body)};
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

std::shared_ptr<chat::ChatModel> Endpoints::find(net::Exchange& e, const std::string& name) const {
  auto model = registry_.find(name);
  auto caller = access_.caller(e.request());
  if (!caller || !caller->may_ask(name)) model = nullptr;  // that there is one is not told either
  if (!model) e.respond(no_such_model(name).response(error_form(e.request().path)));
  return model;
}

template <class Request>
void Endpoints::equip(const net::Exchange& e, Request& request) const {
  if (auto caller = access_.caller(e.request())) request.caller = caller->name;
  request.id = e.request().id;
  request.cancel = e.request().cancel;
  request.deadline = std::chrono::steady_clock::now() + config_.request_timeout;
}

Awaitable<void> Endpoints::generate(net::Exchange& e, const Generating& endpoint) const {
  auto generation = endpoint.read(e.request().body, {.max_answers = config_.max_answers});
  if (!generation) co_return e.respond(generation.error().response(error_form(e.request().path)));
  auto model = find(e, generation->model);
  if (!model) co_return;
  for (chat::Request& request : generation->chats) {
    equip(e, request);
    request.conversation = e.request().headers.get("x-conversation-id").value_or("");
  }
  Call call{e, *model, *generation};
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

Awaitable<void> Endpoints::embeddings(net::Exchange& e) const {
  auto request = read_embeddings_request(e.request().body);
  if (!request) co_return e.respond(request.error().response());
  auto model = find(e, request->model);
  if (!model) co_return;
  equip(e, request->embed);
  auto vectors = co_await model->embed(request->embed);
  if (!vectors) {
    log_failure(e, request->model, vectors.error());
    co_return refuse(e, vectors.error());
  }
  e.respond(json_response(embeddings_reply(*request, *vectors)));
}

Awaitable<void> Endpoints::rerank(net::Exchange& e) const {
  auto request = read_rerank_request(e.request().body);
  if (!request) co_return e.respond(request.error().response());
  auto model = find(e, request->model);
  if (!model) co_return;
  equip(e, request->embed);
  auto vectors = co_await model->embed(request->embed);
  if (!vectors) {
    log_failure(e, request->model, vectors.error());
    co_return refuse(e, vectors.error());
  }
  e.respond(json_response(rerank_reply(*request, *vectors)));
}

Awaitable<void> Endpoints::count_tokens(net::Exchange& e) const {
  ErrorForm form = error_form(e.request().path);
  auto read = read_count_request(e.request().body, {});
  if (!read) co_return e.respond(read.error().response(form));
  auto model = find(e, read->model);
  if (!model) co_return;
  chat::TokenizeRequest request{.prompt = std::move(read->chats[0])};
  auto tokens = co_await model->tokenize(request);
  if (!tokens) co_return refuse(e, tokens.error());
  e.respond(json_response(count_reply(tokens->ids.size())));
}

Awaitable<void> Endpoints::tokenize(net::Exchange& e) const {
  auto request = read_tokenize_request(e.request().body);
  if (!request) co_return e.respond(request.error().response());
  auto model = find(e, request->model);
  if (!model) co_return;
  auto tokens = co_await model->tokenize(request->ask);
  if (!tokens) co_return refuse(e, tokens.error());
  e.respond(json_response(tokenize_reply(*request, *tokens)));
}

Awaitable<void> Endpoints::detokenize(net::Exchange& e) const {
  auto request = read_detokenize_request(e.request().body);
  if (!request) co_return e.respond(request.error().response());
  auto model = find(e, request->model);
  if (!model) co_return;
  auto text = co_await model->detokenize(request->tokens);
  if (!text) co_return refuse(e, text.error());
  e.respond(json_response(detokenize_reply(*text)));
}

void Endpoints::refuse(net::Exchange& e, const Error& error) const {
  ApiError out = error.code == Code::kCancelled && e.request().cancel.stop_requested()
                     ? api_error(503, "The server is shutting down.")
                     : api_error(error);
  e.respond(out.response(error_form(e.request().path)));
}

void Endpoints::log_failure(const net::Exchange& e, const std::string& model, const Error& error) const {
  log_(
      fmt::format("{} model={} failed: {}: {}", e.request().id, model, code_name(error.code), error.message));
}

void Endpoints::log_reply(const net::Exchange& e, const std::string& model,
                          const Result<chat::Reply>& reply) const {
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
}

}  // namespace bantam::server
