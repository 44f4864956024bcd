#include "server/server.h"

#include <sys/resource.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "net/http_server.h"
#include "net/json.h"
#include "net/signal_stop.h"
#include "net/sse.h"
#include "server/access.h"
#include "server/api_error.h"
#include "server/completion_reply.h"
#include "server/completion_request.h"
#include "server/metrics.h"

namespace bantam::server {
namespace {

using chat::Awaitable;
using nlohmann::json;

net::ServerResponse json_response(std::string body) {
  return {200, {{"content-type", "application/json"}}, std::move(body)};
}

class OpenAiServer final : public Server {
 public:
  OpenAiServer(const ServerConfig& config, Registry registry, Access access, LogSink log)
      : config_(config),
        registry_(std::move(registry)),
        access_(std::move(access)),
        log_(std::move(log)),
        metrics_(std::make_shared<Metrics>()),
        started_(std::time(nullptr)) {}

  Status listen() {
    registry_.wrap([this](std::shared_ptr<chat::ChatModel> model) {
      std::string strategy = config_.strategy_of(model->name());
      return make_metered(std::move(model), std::move(strategy), metrics_);
    });
    net::ServerOptions options;
    options.host = config_.host;
    options.port = config_.port;
    options.max_connections = config_.max_connections;
    options.max_body_bytes = config_.max_body_bytes;
    options.max_header_bytes = config_.max_header_bytes;
    options.certificate_file = config_.certificate;
    options.key_file = config_.private_key;
    options.drain_timeout = config_.drain_timeout;
    options.error_response = [](int status, const std::string& message) {
      return api_error(status, message).response();
    };
    options.gate = [this](const net::ServerRequest& r) { return access_.check(r); };
    options.decorate = [this](const net::ServerRequest& r, net::Headers& h) { access_.decorate(r, h); };
    options.on_access = [this](const net::AccessRecord& r) {
      metrics_->request(r);
      log(fmt::format("{} {} {} {} {} bytes {:.1f} ms{}", r.id, r.method, r.path, r.status, r.body_bytes,
                      r.seconds * 1000, r.client_gone ? ", client left" : ""));
    };
    auto plain = [this](void (OpenAiServer::*f)(net::Exchange&)) {
      return net::plain_handler([this, f](net::Exchange& e) { (this->*f)(e); });
    };
    std::vector<net::Route> routes{
        {"GET", "/health", plain(&OpenAiServer::health)},
        {"GET", "/ready", plain(&OpenAiServer::ready)},
        {"GET", "/metrics", plain(&OpenAiServer::metrics)},
        {"GET", "/v1/models", plain(&OpenAiServer::list_models)},
        {"GET", "/v1/models/*", plain(&OpenAiServer::show_model)},
        {"POST", "/v1/chat/completions", [this](net::Exchange& e) { return complete(e); }}};
    BANTAM_ASSIGN(http_, net::HttpServer::listen(std::move(options), std::move(routes)));
    return {};
  }

  std::string url() const override {
    bool v6 = config_.host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", config_.certificate.empty() ? "http" : "https", v6 ? "[" : "",
                       config_.host, v6 ? "]" : "", http_->port());
  }
  Status run(std::stop_token stop) override { return http_->run(stop); }

 private:
  /// A path or a remote side's message may hold line ends; what they hold must not pass for lines of ours.
  void log(std::string line) const {
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    if (log_) log_(line);
  }

  void health(net::Exchange& e) {
    auto load = http_->load();
    size_t waiting = 0;
    for (const auto& model : registry_.all()) waiting += model->load().waiting;
    auto response = json_response(net::to_text({{"status", load.draining ? "draining" : "ok"},
                                                {"busy", load.busy - 1},  // but for this one
                                                {"queued", waiting}}));
    e.respond(std::move(response));
  }

  /// Whether new requests should come here: no while draining. The models were loaded before the server listened.
  void ready(net::Exchange& e) {
    bool draining = http_->load().draining;
    auto response = json_response(net::to_text({{"status", draining ? "draining" : "ready"}}));
    if (draining) response.status = 503;
    e.respond(std::move(response));
  }

  void metrics(net::Exchange& e) {
    metrics_->set_load(http_->load());
    for (const auto& model : registry_.all()) metrics_->set_load(model->name(), model->load());
    e.respond({200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_->text()});
  }

  json model_json(const chat::ChatModel& model) const {
    return {{"id", model.name()}, {"object", "model"}, {"created", started_}, {"owned_by", "bantam"}};
  }

  void list_models(net::Exchange& e) {
    json data = json::array();
    auto caller = access_.caller(e.request());
    for (const auto& model : registry_.all()) {
      if (caller && caller->may_ask(model->name())) data.push_back(model_json(*model));
    }
    e.respond(json_response(net::to_text({{"object", "list"}, {"data", std::move(data)}})));
  }

  static ApiError no_such_model(const std::string& name) {
    return {.status = 404,
            .message = fmt::format("The model '{}' does not exist.", name.substr(0, 200)),
            .param = "model",
            .code = "model_not_found"};
  }

  void show_model(net::Exchange& e) {
    auto model = registry_.find(e.request().tail);
    auto caller = access_.caller(e.request());
    e.respond(model && caller && caller->may_ask(model->name()) ? json_response(net::to_text(model_json(*model)))
                    : no_such_model(e.request().tail).response());
  }

  Awaitable<void> complete(net::Exchange& e) {
    auto request = read_completion_request(e.request().body);
    if (!request) co_return e.respond(request.error().response());
    auto model = registry_.find(request->model);
    if (!model) co_return e.respond(no_such_model(request->model).response());
    auto caller = access_.caller(e.request());
    if (!caller || !caller->may_ask(request->model))
      co_return e.respond(no_such_model(request->model).response());
    request->chat.caller = caller->name;
    request->chat.id = e.request().id;
    request->chat.cancel = e.request().cancel;
    request->chat.deadline = std::chrono::steady_clock::now() + config_.request_timeout;
    Result<chat::Reply> reply = fail(Code::kInternal, "not asked");
    if (request->stream) {
      reply = co_await stream(e, *request, *model);
    } else {
      reply = co_await whole(e, *request, *model);
    }
    log_reply(e.request().id, request->model, reply);
  }

  Awaitable<Result<chat::Reply>> whole(net::Exchange& e, const CompletionRequest& request,
                                       chat::ChatModel& model) const {
    auto reply = co_await model.generate(request.chat, {});
    e.respond(reply ? json_response(CompletionReply(request.model, false).whole(*reply))
                    : error_response(e, reply.error()));
    co_return reply;
  }

  /// The status line waits for the first text, so that whatever fails before it is an HTTP error.
  Awaitable<Result<chat::Reply>> stream(net::Exchange& e, const CompletionRequest& request,
                                        chat::ChatModel& model) const {
    CompletionReply events(request.model, request.include_usage);
    bool begun = false;
    auto begin = [&]() -> std::string {
      if (std::exchange(begun, true)) return "";
      e.begin(200, {{"content-type", "text/event-stream; charset=utf-8"},
                    {"cache-control", "no-cache"},
                    {"x-accel-buffering", "no"}});
      return net::sse_event(events.first());
    };
    auto reply = co_await model.generate(request.chat, [&](chat::Event event) -> Awaitable<bool> {
      const auto* text = std::get_if<chat::TextDelta>(&event);
      if (!text) co_return true;
      std::string bytes = begin();
      bytes += net::sse_event(events.text(text->text));
      co_return co_await e.write(std::move(bytes));
    });
    if (!reply && !begun) {
      e.respond(error_response(e, reply.error()));
    } else if (!reply) {
      // And no [DONE]: the client must not take this for the end.
      co_await e.write(net::sse_event(api_error(reply.error()).json()));
    } else {
      std::string bytes = begin();
      for (const std::string& event : events.last(*reply)) bytes += net::sse_event(event);
      co_await e.write(std::move(bytes));
    }
    co_return reply;
  }

  net::ServerResponse error_response(const net::Exchange& e, const Error& error) const {
    if (error.code == Code::kCancelled && e.request().cancel.stop_requested())
      return api_error(503, "The server is shutting down.").response();
    return api_error(error).response();
  }

  void log_reply(const std::string& id, const std::string& model, const Result<chat::Reply>& reply) const {
    if (!reply)
      return log(fmt::format("{} model={} failed: {}: {}", id, model, code_name(reply.error().code),
                             reply.error().message));
    std::string line =
        fmt::format("{} model={} answered_by={} tokens={}+{} cost={:.6g}", id, model, reply->answered_by,
                    reply->usage.prompt_tokens, reply->usage.completion_tokens, reply->cost);
    if (reply->confidence) line += fmt::format(" confidence={:.4f}", *reply->confidence);
    if (reply->unverified) line += " unverified";
    for (const chat::Step& step : reply->steps)
      line += fmt::format(" step={} {:.1f} ms ({})", step.model, step.seconds * 1000, step.outcome);
    for (const std::string& note : reply->notes) line += " note: " + note;
    log(line);
  }

  ServerConfig config_;
  Registry registry_;
  Access access_;
  LogSink log_;
  std::shared_ptr<Metrics> metrics_;
  std::time_t started_;
  std::unique_ptr<net::HttpServer> http_;  // last, so that its threads end before what they use
};

}  // namespace

Result<std::unique_ptr<Server>> Server::open(const ServerConfig& config, LogSink log) {
  BANTAM_ASSIGN(Registry registry, Registry::open(config));
  return open(config, std::move(registry), std::move(log));
}

Result<std::unique_ptr<Server>> Server::open(const ServerConfig& config, Registry registry, LogSink log) {
  BANTAM_ASSIGN(Access access, Access::open(config, registry.recorder()));
  auto server =
      std::make_unique<OpenAiServer>(config, std::move(registry), std::move(access), std::move(log));
  BANTAM_TRY(server->listen());
  return server;
}

namespace {

/// Each connection is a descriptor, and so is each to a remote model; the usual soft limit of 1,024 is meant for
/// programs that use select().
void allow_many_connections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Status run(const ServerConfig& config, LogSink log) {
  allow_many_connections();
  BANTAM_ASSIGN(net::SignalStop signals, net::SignalStop::install());
  BANTAM_ASSIGN(auto server, Server::open(config, log));
  if (log) log("listening on " + server->url());
  BANTAM_TRY(server->run(signals.token()));
  if (log) log("stopped");
  return {};
}

}  // namespace bantam::server
