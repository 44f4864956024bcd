#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "base/usage.h"

namespace bantam::server {
namespace {

using Labels = prometheus::Labels;
using prometheus::Counter;
using prometheus::Histogram;

/// From what a small model takes for a label to what a large one takes for an essay.
const prometheus::Histogram::BucketBoundaries kSeconds{
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;

  prometheus::Family<prometheus::Counter>& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Histogram>& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  prometheus::Family<prometheus::Counter>& requests = counter(
      "bantam_http_requests_total", "HTTP requests answered, by route and status (499: the client left).");
  prometheus::Family<prometheus::Histogram>& request_seconds =
      histogram("bantam_http_request_seconds", "From a request's first byte to its answer's last.");
  prometheus::Family<prometheus::Counter>& answers =
      counter("bantam_answers_total", "Answers of models and teams, by who answered.");
  prometheus::Family<prometheus::Counter>& errors =
      counter("bantam_errors_total", "Calls of models and teams that failed, by code.");
  prometheus::Family<prometheus::Counter>& unverified =
      counter("bantam_unverified_total", "Answers whose second model was wanted and failed.");
  prometheus::Family<prometheus::Histogram>& answer_seconds =
      histogram("bantam_answer_seconds", "From the call of a model or team to its whole answer.");
  prometheus::Family<prometheus::Histogram>& first_token_seconds =
      histogram("bantam_first_token_seconds", "From the call to the first event of a streamed answer.");
  prometheus::Family<prometheus::Counter>& tokens = counter(
      "bantam_tokens_total",
      "Tokens that the models behind the answers took and gave, and of those given how many were drafted "
      "and accepted.");
  prometheus::Family<prometheus::Counter>& cost =
      counter("bantam_cost_total", "What they cost, in the config's currency.");
  prometheus::Family<prometheus::Gauge>& connections = gauge("bantam_connections", "Open connections.");
  prometheus::Family<prometheus::Gauge>& busy =
      gauge("bantam_http_requests_in_work", "HTTP requests in work.");
  prometheus::Family<prometheus::Gauge>& running =
      gauge("bantam_model_running", "Requests that a local model works on.");
  prometheus::Family<prometheus::Gauge>& waiting =
      gauge("bantam_model_waiting", "Requests that wait for a local model.");
  prometheus::Family<prometheus::Gauge>& certificate_holds =
      gauge("bantam_certificate_holds", "1 while a team's confidences look as its certificate's, 0 after.");
  prometheus::Family<prometheus::Gauge>& certificate_evidence =
      gauge("bantam_certificate_evidence", "Against that: at 100 (by default) it no longer holds.");
  prometheus::Family<prometheus::Gauge>& certificate_observed =
      gauge("bantam_certificate_observed", "Answers looked at for that.");

  // A family finds a metric by a map of its labels, which costs more than all else here; so each is looked up
  // once and kept.
  struct OfRoute {
    Histogram* seconds = nullptr;
    std::map<int, Counter*> by_status;
  };
  struct OfModel {
    Histogram *seconds = nullptr, *first_token = nullptr;
    std::map<std::string, Counter*, std::less<>> by_who;
  };
  struct OfSpending {
    Counter *prompt = nullptr, *completion = nullptr, *drafted = nullptr, *accepted = nullptr,
            *cost = nullptr;
  };
  std::mutex mutex;
  std::map<std::string, OfRoute, std::less<>> routes;
  std::map<std::pair<std::string, std::string>, OfModel> models;  // by model and strategy
  std::map<std::string, OfSpending, std::less<>> spendings;       // by model

  void request(const std::string& route, int status, double seconds) {
    std::lock_guard lock(mutex);
    OfRoute& of = routes[route];
    if (!of.seconds) of.seconds = &request_seconds.Add({{"route", route}}, kSeconds);
    Counter*& count = of.by_status[status];
    if (!count) count = &requests.Add({{"route", route}, {"status", std::to_string(status)}});
    count->Increment();
    of.seconds->Observe(seconds);
  }

  /// A call has ended, by `answered_by`, or with an error: then false. The lock is held.
  bool ended(const std::string& model, const std::string& strategy, double seconds, const Error* error,
             const std::string& answered_by) {
    OfModel& of = models[{model, strategy}];
    if (!of.seconds) of.seconds = &answer_seconds.Add({{"model", model}, {"strategy", strategy}}, kSeconds);
    of.seconds->Observe(seconds);
    if (error) {
      std::string code(code_name(error->code));
      errors.Add({{"model", model}, {"strategy", strategy}, {"code", std::move(code)}}).Increment();
      return false;
    }
    Counter*& count = of.by_who[answered_by];
    if (!count)
      count = &answers.Add({{"model", model}, {"strategy", strategy}, {"answered_by", answered_by}});
    count->Increment();
    return true;
  }

  /// The lock is held.
  void spent(const std::string& model, const chat::Usage& usage, double money) {
    OfSpending& of = spendings[model];
    auto add = [&](Counter*& counter, const char* kind, uint64_t count) {
      if (!counter) counter = &tokens.Add({{"model", model}, {"kind", kind}});
      counter->Increment(static_cast<double>(count));
    };
    add(of.prompt, "prompt", usage.prompt_tokens);
    add(of.completion, "completion", usage.completion_tokens);
    if (usage.drafted_tokens > 0) {
      add(of.drafted, "drafted", usage.drafted_tokens);
      add(of.accepted, "accepted", usage.accepted_tokens);
    }
    if (!of.cost) of.cost = &cost.Add({{"model", model}});
    of.cost->Increment(money);
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
    Histogram*& of = impl_->models[{model, strategy}].first_token;
    if (!of) of = &impl_->first_token_seconds.Add(labels(), kSeconds);
    of->Observe(*first_token);
  }
  const Error* error = reply ? nullptr : &reply.error();
  if (!impl_->ended(model, strategy, seconds, error, reply ? reply->answered_by : kNobody)) return;
  if (reply->unverified) impl_->unverified.Add(labels()).Increment();
  for (const chat::Step& step : reply->steps) impl_->spent(step.model, step.usage, step.cost);
}

void Metrics::embedded(const std::string& model, const Result<chat::Embeddings>& result, double seconds) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->ended(model, "embeddings", seconds, result ? nullptr : &result.error(), model))
    impl_->spent(model, result->usage, result->cost);
}

void Metrics::set_certificate(const std::string& model, const chat::CertificateState& state) {
  impl_->certificate_holds.Add({{"model", model}}).Set(state.holds ? 1 : 0);
  impl_->certificate_evidence.Add({{"model", model}}).Set(state.evidence);
  impl_->certificate_observed.Add({{"model", model}}).Set(static_cast<double>(state.observed));
}

void Metrics::set_load(const net::HttpServer::Load& load) {
  impl_->connections.Add({}).Set(static_cast<double>(load.connections));
  impl_->busy.Add({}).Set(static_cast<double>(load.busy));
}

void Metrics::set_load(const std::string& model, const chat::ModelLoad& load) {
  impl_->running.Add({{"model", model}}).Set(static_cast<double>(load.running));
  impl_->waiting.Add({{"model", model}}).Set(static_cast<double>(load.waiting));
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

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
