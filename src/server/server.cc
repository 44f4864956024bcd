#include "server/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/http_server.h"
#include "net/json.h"
#include "net/signal_stop.h"
#include "server/access.h"
#include "server/api_error.h"
#include "server/endpoints.h"
#include "server/metrics.h"

namespace bantam::server {
namespace {

using nlohmann::json;

/// More are for who asks: one thread carries some 20,000 requests a second, and models want the processors.
constexpr unsigned kMostOwnThreads = 4;

class OpenAiServer final : public Server {
 public:
  OpenAiServer(const ServerConfig& config, Registry registry, Access access, LogSink log)
      : config_(config),
        registry_(std::move(registry)),
        access_(std::move(access)),
        log_(std::move(log)),
        metrics_(std::make_shared<Metrics>()),
        endpoints_(config_, registry_, access_, log_ ? writer() : std::function<void(std::string)>()),
        started_(std::time(nullptr)) {}

  Status listen() {
    registry_.wrap([this](std::shared_ptr<chat::ChatModel> model) {
      std::string strategy = config_.strategy_of(model->name());
      return make_metered(std::move(model), std::move(strategy), metrics_);
    });
    net::ServerOptions options;
    options.host = config_.host;
    options.port = config_.port;
    options.threads = config_.io_threads != 0
                          ? config_.io_threads
                          : std::clamp(std::thread::hardware_concurrency(), 1U, kMostOwnThreads);
    options.max_connections = config_.max_connections;
    options.max_body_bytes = config_.max_body_bytes;
    options.max_header_bytes = config_.max_header_bytes;
    options.certificate_file = config_.certificate;
    options.key_file = config_.private_key;
    options.drain_timeout = config_.drain_timeout;
    options.error_response = [](const net::ServerRequest& request, int status, const std::string& message) {
      return api_error(status, message).response(request);
    };
    options.gate = [this](const net::ServerRequest& r) { return access_.check(r); };
    options.decorate = [this](const net::ServerRequest& r, net::Headers& h) { access_.decorate(r, h); };
    options.on_access = [this](const net::AccessRecord& r) {
      metrics_->request(r);
      if (!log_) return;
      log(fmt::format("{} {} {} {} {} bytes {:.1f} ms{}", r.id, r.method, r.path, r.status, r.body_bytes,
                      r.seconds * 1000, r.client_gone ? ", client left" : ""));
    };
    auto plain = [this](void (OpenAiServer::*f)(net::Exchange&)) {
      return net::plain_handler([this, f](net::Exchange& e) { (this->*f)(e); });
    };
    std::vector<net::Route> routes{{"GET", "/health", plain(&OpenAiServer::health)},
                                   {"GET", "/ready", plain(&OpenAiServer::ready)},
                                   {"GET", "/metrics", plain(&OpenAiServer::metrics)},
                                   {"GET", "/v1/models", plain(&OpenAiServer::list_models)},
                                   {"GET", "/v1/models/*", plain(&OpenAiServer::show_model)}};
    for (net::Route& route : endpoints_.routes()) routes.push_back(std::move(route));
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
    log_(line);
  }
  std::function<void(std::string)> writer() const {
    return [this](std::string line) { log(std::move(line)); };
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

  /// Whether new requests should come here: no while draining. The models were loaded before the server
  /// listened.
  void ready(net::Exchange& e) {
    bool draining = http_->load().draining;
    auto response = json_response(net::to_text({{"status", draining ? "draining" : "ready"}}));
    if (draining) response.status = 503;
    e.respond(std::move(response));
  }

  void metrics(net::Exchange& e) {
    metrics_->set_load(http_->load());
    for (const auto& model : registry_.all()) {
      metrics_->set_load(model->name(), model->load());
      if (auto state = model->certificate()) metrics_->set_certificate(model->name(), *state);
    }
    e.respond({200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_->text()});
  }

  /// In OpenAI's form and Anthropic's at once, as the lists of models are.
  json model_json(const chat::ChatModel& model) const {
    json out{{"id", model.name()},         {"object", "model"}, {"created", started_},
             {"owned_by", "bantam"},       {"type", "model"},   {"display_name", model.name()},
             {"created_at", iso(started_)}};
    if (auto state = model.certificate()) {
      out["bantam"] = {
          {"certificate",
           {{"holds", state->holds}, {"evidence", state->evidence}, {"observed", state->observed}}}};
    }
    return out;
  }
  static std::string iso(std::time_t time) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
  }

  void list_models(net::Exchange& e) {
    json data = json::array();
    auto caller = access_.caller(e.request());
    for (const auto& model : registry_.all()) {
      if (caller && caller->may_ask(model->name())) data.push_back(model_json(*model));
    }
    json first = data.empty() ? json() : data.front()["id"], last = data.empty() ? json() : data.back()["id"];
    e.respond(json_response(net::to_text({{"object", "list"},
                                          {"data", std::move(data)},
                                          {"has_more", false},
                                          {"first_id", std::move(first)},
                                          {"last_id", std::move(last)}})));
  }

  void show_model(net::Exchange& e) {
    auto model = registry_.find(e.request().tail);
    auto caller = access_.caller(e.request());
    e.respond(model && caller && caller->may_ask(model->name())
                  ? json_response(net::to_text(model_json(*model)))
                  : no_such_model(e.request().tail).response(e.request()));
  }

  ServerConfig config_;
  Registry registry_;
  Access access_;
  LogSink log_;
  std::shared_ptr<Metrics> metrics_;
  Endpoints endpoints_;
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

/// Each connection is a descriptor, and so is each to a remote model; the usual soft limit of 1,024 is meant
/// for programs that use select().
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
