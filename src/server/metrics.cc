#include "server/metrics.h"

#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "base/usage.h"
#include "server/exposition.h"

namespace bantam::server {
namespace {

using Labels = MetricLabels;
using Kind = MetricFamily::Kind;

/// From what a small model takes for a label to what a large one takes for an essay.
const std::vector<double> kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                   1,     2.5,    5,     10,   30,    60,   120, 300,  600};

}  // namespace

struct Metrics::Impl {
  Exposition registry;

  MetricFamily& counter(const char* name, const char* help) {
    return registry.add(Kind::kCounter, name, help);
  }
  MetricFamily& gauge(const char* name, const char* help) { return registry.add(Kind::kGauge, name, help); }
  MetricFamily& histogram(const char* name, const char* help) {
    return registry.add(Kind::kHistogram, name, help, kSeconds);
  }

  MetricFamily& requests = counter("bantam_http_requests_total",
                                   "HTTP requests answered, by route and status (499: the client left).");
  MetricFamily& request_seconds =
      histogram("bantam_http_request_seconds", "From a request's first byte to its answer's last.");
  MetricFamily& answers = counter("bantam_answers_total", "Answers of models and teams, by who answered.");
  MetricFamily& errors = counter("bantam_errors_total", "Calls of models and teams that failed, by code.");
  MetricFamily& unverified =
      counter("bantam_unverified_total", "Answers whose second model was wanted and failed.");
  MetricFamily& answer_seconds =
      histogram("bantam_answer_seconds", "From the call of a model or team to its whole answer.");
  MetricFamily& first_token_seconds =
      histogram("bantam_first_token_seconds", "From the call to the first event of a streamed answer.");
  MetricFamily& tokens = counter(
      "bantam_tokens_total",
      "Tokens that the models behind the answers took and gave, and of those given how many were drafted "
      "and accepted.");
  MetricFamily& cost = counter("bantam_cost_total", "What they cost, in the config's currency.");
  MetricFamily& connections = gauge("bantam_connections", "Open connections.");
  MetricFamily& busy = gauge("bantam_http_requests_in_work", "HTTP requests in work.");
  MetricFamily& running = gauge("bantam_model_running", "Requests that a local model works on.");
  MetricFamily& waiting = gauge("bantam_model_waiting", "Requests that wait for a local model.");
  MetricFamily& certificate_holds =
      gauge("bantam_certificate_holds", "1 while a team's confidences look as its certificate's, 0 after.");
  MetricFamily& certificate_evidence =
      gauge("bantam_certificate_evidence", "Against that: at 100 (by default) it no longer holds.");
  MetricFamily& certificate_observed = gauge("bantam_certificate_observed", "Answers looked at for that.");

  // A family finds a metric by a map of its labels, which costs more than all else here; so each is looked up
  // once and kept.
  struct OfRoute {
    Metric* seconds = nullptr;
    std::map<int, Metric*> by_status;
  };
  struct OfModel {
    Metric *seconds = nullptr, *first_token = nullptr;
    std::map<std::string, Metric*, std::less<>> by_who;
  };
  struct OfSpending {
    Metric *prompt = nullptr, *completion = nullptr, *drafted = nullptr, *accepted = nullptr, *cost = nullptr;
  };
  std::mutex mutex;
  std::map<std::string, OfRoute, std::less<>> routes;
  std::map<std::pair<std::string, std::string>, OfModel> models;  // by model and strategy
  std::map<std::string, OfSpending, std::less<>> spendings;       // by model

  void request(const std::string& route, int status, double seconds) {
    std::lock_guard lock(mutex);
    OfRoute& of = routes[route];
    if (!of.seconds) of.seconds = &request_seconds.add({{"route", route}});
    Metric*& count = of.by_status[status];
    if (!count) count = &requests.add({{"route", route}, {"status", std::to_string(status)}});
    count->increment();
    of.seconds->observe(seconds);
  }

  /// A call has ended, by `answered_by`, or with an error: then false. The lock is held.
  bool ended(const std::string& model, const std::string& strategy, double seconds, const Error* error,
             const std::string& answered_by) {
    OfModel& of = models[{model, strategy}];
    if (!of.seconds) of.seconds = &answer_seconds.add({{"model", model}, {"strategy", strategy}});
    of.seconds->observe(seconds);
    if (error) {
      std::string code(code_name(error->code));
      errors.add({{"model", model}, {"strategy", strategy}, {"code", std::move(code)}}).increment();
      return false;
    }
    Metric*& count = of.by_who[answered_by];
    if (!count)
      count = &answers.add({{"model", model}, {"strategy", strategy}, {"answered_by", answered_by}});
    count->increment();
    return true;
  }

  /// The lock is held.
  void spent(const std::string& model, const chat::Usage& usage, double money) {
    OfSpending& of = spendings[model];
    auto add = [&](Metric*& counter, const char* kind, uint64_t count) {
      if (!counter) counter = &tokens.add({{"model", model}, {"kind", kind}});
      counter->increment(static_cast<double>(count));
    };
    add(of.prompt, "prompt", usage.prompt_tokens);
    add(of.completion, "completion", usage.completion_tokens);
    if (usage.drafted_tokens > 0) {
      add(of.drafted, "drafted", usage.drafted_tokens);
      add(of.accepted, "accepted", usage.accepted_tokens);
    }
    if (!of.cost) of.cost = &cost.add({{"model", model}});
    of.cost->increment(money);
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request(const net::AccessRecord& record) {
  static const std::string kNone = "none";
  impl_->request(record.route.empty() ? kNone : record.route, record.status, record.seconds);
}

void Metrics::answered(const std::string& model, const std::string& strategy,
                       const Result<chat::Reply>& reply, double seconds, std::optional<double> first_token) {
  static const std::string kNobody;
  std::lock_guard lock(impl_->mutex);
  const auto labels = [&] { return Labels{{"model", model}, {"strategy", strategy}}; };
  if (first_token) {
    Metric*& of = impl_->models[{model, strategy}].first_token;
    if (!of) of = &impl_->first_token_seconds.add(labels());
    of->observe(*first_token);
  }
  const Error* error = reply ? nullptr : &reply.error();
  if (!impl_->ended(model, strategy, seconds, error, reply ? reply->answered_by : kNobody)) return;
  if (reply->unverified) impl_->unverified.add(labels()).increment();
  for (const chat::Step& step : reply->steps) impl_->spent(step.model, step.usage, step.cost);
}

void Metrics::embedded(const std::string& model, const Result<chat::Embeddings>& result, double seconds) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->ended(model, "embeddings", seconds, result ? nullptr : &result.error(), model))
    impl_->spent(model, result->usage, result->cost);
}

void Metrics::set_certificate(const std::string& model, const chat::CertificateState& state) {
  impl_->certificate_holds.add({{"model", model}}).set(state.holds ? 1 : 0);
  impl_->certificate_evidence.add({{"model", model}}).set(state.evidence);
  impl_->certificate_observed.add({{"model", model}}).set(static_cast<double>(state.observed));
}

void Metrics::set_load(const net::HttpServer::Load& load) {
  impl_->connections.add({}).set(static_cast<double>(load.connections));
  impl_->busy.add({}).set(static_cast<double>(load.busy));
}

void Metrics::set_load(const std::string& model, const chat::ModelLoad& load) {
  impl_->running.add({{"model", model}}).set(static_cast<double>(load.running));
  impl_->waiting.add({{"model", model}}).set(static_cast<double>(load.waiting));
}

std::string Metrics::text() const { return impl_->registry.text(); }

namespace {

using chat::Awaitable;

class Metered final : public chat::ChatModel {
 public:
  Metered(std::shared_ptr<ChatModel> model, std::string strategy, std::shared_ptr<Metrics> metrics)
      : model_(std::move(model)), strategy_(std::move(strategy)), metrics_(std::move(metrics)) {}

  const std::string& name() const override { return model_->name(); }
  const chat::TaskInfo* task() const override { return model_->task(); }
  bool remote() const override { return model_->remote(); }
  chat::ModelLoad load() const override { return model_->load(); }
  std::shared_ptr<const runtime::Engine> engine() const override { return model_->engine(); }
  std::optional<chat::CertificateState> certificate() const override { return model_->certificate(); }

  Awaitable<Result<chat::Reply>> generate(const chat::Request& request, chat::EventSink sink) override {
    double start = wall_seconds();
    std::optional<double> first;
    chat::EventSink timed;
    if (sink) {
      timed = [&](chat::Event event) {
        if (!first) first = wall_seconds() - start;
        return sink(std::move(event));
      };
    }
    auto reply = co_await model_->generate(request, std::move(timed));
    metrics_->answered(name(), strategy_, reply, wall_seconds() - start, first);
    co_return reply;
  }

  Awaitable<Result<chat::Embeddings>> embed(const chat::EmbedRequest& request) override {
    double start = wall_seconds();
    auto result = co_await model_->embed(request);
    metrics_->embedded(name(), result, wall_seconds() - start);
    co_return result;
  }

  Awaitable<Result<chat::Tokens>> tokenize(const chat::TokenizeRequest& request) override {
    return model_->tokenize(request);
  }
  Awaitable<Result<std::string>> detokenize(const std::vector<int32_t>& ids) override {
    return model_->detokenize(ids);
  }

 private:
  std::shared_ptr<ChatModel> model_;
  std::string strategy_;
  std::shared_ptr<Metrics> metrics_;
};

}  // namespace

std::shared_ptr<chat::ChatModel> make_metered(std::shared_ptr<chat::ChatModel> model, std::string strategy,
                                              std::shared_ptr<Metrics> metrics) {
  return std::make_shared<Metered>(std::move(model), std::move(strategy), std::move(metrics));
}

}  // namespace bantam::server
