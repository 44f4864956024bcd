#include "collab/accounts.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/usage.h"
#include "chat/call_notes.h"
#include "net/json.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::Reply;
using chat::Request;
using nlohmann::json;

/// Notes when the first of an answer is passed on.
class FirstText {
 public:
  FirstText(const chat::EventSink& sink, double start) : sink_(&sink), start_(start) {}
  Awaitable<bool> take(chat::Event event) {
    if (!first_) first_ = wall_seconds() - start_;
    return (*sink_)(std::move(event));
  }
  std::optional<double> first() const { return first_; }

 private:
  const chat::EventSink* sink_;
  double start_;
  std::optional<double> first_;
};

json tokens(const chat::Usage& usage) {
  json out{{"prompt", usage.prompt_tokens},
           {"completion", usage.completion_tokens},
           {"cached", usage.cached_tokens}};
  if (usage.drafted_tokens > 0) {
    out["drafted"] = usage.drafted_tokens;
    out["accepted"] = usage.accepted_tokens;
  }
  return out;
}

std::string outcome_of(const Error& error) {
  switch (error.code) {
    case Code::kQuota:
      return "refused";
    case Code::kCancelled:
      return "cancelled";
    default:
      return fmt::format("failed: {}", code_name(error.code));
  }
}

class Accounted final : public chat::ChatModel {
 public:
  Accounted(std::shared_ptr<ChatModel> model, std::string strategy, std::shared_ptr<Accounts> accounts)
      : model_(std::move(model)), strategy_(std::move(strategy)), accounts_(std::move(accounts)) {}

  const std::string& name() const override { return model_->name(); }
  const chat::TaskInfo* task() const override { return model_->task(); }
  bool remote() const override { return model_->remote(); }
  chat::ModelLoad load() const override { return model_->load(); }
  std::shared_ptr<const runtime::Engine> engine() const override { return model_->engine(); }
  std::optional<chat::CertificateState> certificate() const override { return model_->certificate(); }

  Awaitable<Result<Reply>> generate(const Request& request, chat::EventSink sink) override {
    auto row = open(request.caller, request.id);
    if (!row) co_return std::unexpected(std::move(row.error()));
    double start = wall_seconds();
    Request noted = request;
    noted.id = row->id;
    noted.notes = std::make_shared<chat::CallNotes>();
    Result<Reply> reply = fail(Code::kInternal, "no answer");
    Status counted = co_await count(*row);
    FirstText first(sink, start);
    if (counted) {
      chat::EventSink timed;
      if (sink) timed = [&first](chat::Event event) { return first.take(std::move(event)); };
      reply = co_await model_->generate(noted, std::move(timed));
    } else {
      reply = std::unexpected(std::move(counted.error()));
    }
    row->first_text = first.first();
    if (reply) {
      row->answered_by = reply->answered_by;
      row->confidence = reply->confidence;
      row->outcome = reply->unverified ? "unverified" : "answered";
      row->steps = steps_of(*reply);
    }
    Status written = co_await close(*row, *noted.notes, reply ? nullptr : &reply.error(), start);
    if (!written) co_return std::unexpected(std::move(written.error()));
    co_return reply;
  }

  Awaitable<Result<chat::Tokens>> tokenize(const chat::TokenizeRequest& request) override {
    return model_->tokenize(request);
  }
  Awaitable<Result<std::string>> detokenize(const std::vector<int32_t>& ids) override {
    return model_->detokenize(ids);
  }

  Awaitable<Result<chat::Embeddings>> embed(const chat::EmbedRequest& request) override {
    auto row = open(request.caller, request.id);
    if (!row) co_return std::unexpected(std::move(row.error()));
    double start = wall_seconds();
    chat::EmbedRequest noted = request;
    noted.id = row->id;
    noted.notes = std::make_shared<chat::CallNotes>();
    Result<chat::Embeddings> reply = fail(Code::kInternal, "no answer");
    Status counted = co_await count(*row);
    if (counted) {
      reply = co_await model_->embed(noted);
    } else {
      reply = std::unexpected(std::move(counted.error()));
    }
    if (reply) {
      row->answered_by = name();
      row->outcome = "answered";
    }
    Status written = co_await close(*row, *noted.notes, reply ? nullptr : &reply.error(), start);
    if (!written) co_return std::unexpected(std::move(written.error()));
    co_return reply;
  }

 private:
  Result<LedgerRow> open(const std::string& caller, const std::string& id) const {
    LedgerRow row;
    BANTAM_ASSIGN(row.row, random_id());
    row.id = id.empty() ? row.row : id;
    row.time = now_microseconds();
    row.key = caller;
    row.team = name();
    row.strategy = strategy_;
    return row;
  }

  /// Takes the request from the budgets that count requests.
  Awaitable<Status> count(const LedgerRow& row) const {
    std::vector<Limit> limits = accounts_->limits(row.key, row.team);
    std::erase_if(limits, [](const Limit& limit) { return !limit.requests; });
    if (limits.empty()) co_return Status();
    Record record;
    std::string day = utc_day(row.time);
    record.reserve = Reservation{row.row, day, {1, 0, 0}, std::move(limits), true};
    Outcome outcome = co_await accounts_->recorder().commit(std::move(record));
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (*outcome) co_return fail(Code::kQuota, "{}", (*outcome)->message(day));
    co_return Status();
  }

  static std::string steps_of(const Reply& reply) {
    json steps = json::array();
    for (const chat::Step& step : reply.steps) {
      json one = {{"model", step.model},
                  {"outcome", step.outcome},
                  {"seconds", step.seconds},
                  {"tokens", tokens(step.usage)},
                  {"cost", step.cost}};
      if (step.confidence) one["confidence"] = *step.confidence;
      steps.push_back(std::move(one));
    }
    return net::to_text(steps);
  }

  /// Adds what the calls came to, settles their reservations, and writes row and entry in one commit.
  Awaitable<Status> close(LedgerRow& row, const chat::CallNotes& notes, const Error* error,
                          double start) const {
    Record record;
    json calls = json::array();
    for (const chat::CallNote& note : notes.calls) {
      bool called = note.outcome != "denied" && note.outcome != "refused";
      const int64_t sent = called ? static_cast<int64_t>(note.sent) : 0;
      LedgerSide& side = note.remote ? row.remote : row.local;
      side.calls += sent;
      side.prompt_tokens += static_cast<int64_t>(note.usage.prompt_tokens);
      side.completion_tokens += static_cast<int64_t>(note.usage.completion_tokens);
      side.cached_tokens += static_cast<int64_t>(note.usage.cached_tokens);
      side.cost += to_nano(note.cost);
      row.drafted += static_cast<int64_t>(note.usage.drafted_tokens);
      row.accepted += static_cast<int64_t>(note.usage.accepted_tokens);
      row.estimated |= note.estimated;
      row.redactions += static_cast<int64_t>(note.redactions);
      if (!note.reservation.empty()) record.settle.push_back({note.reservation, amount_of(note)});
      calls.push_back({{"model", note.model},
                       {"remote", note.remote},
                       {"sent", sent},
                       {"outcome", note.outcome},
                       {"seconds", note.seconds},
                       {"tokens", tokens(note.usage)},
                       {"cost", note.cost},
                       {"estimated", note.estimated}});
    }
    row.seconds = wall_seconds() - start;
    if (error) row.outcome = outcome_of(*error);
    if (auto state = certificate()) row.certificate = state->holds ? "holds" : "broken";
    if (row.steps.empty()) row.steps = net::to_text(calls);
    if (accounts_->recorder().head()) {
      record.events.push_back(net::to_text({{"type", "request"},
                                            {"id", row.id},
                                            {"row", row.row},
                                            {"key", row.key},
                                            {"team", row.team},
                                            {"strategy", row.strategy},
                                            {"answered_by", row.answered_by},
                                            {"outcome", row.outcome},
                                            {"calls", std::move(calls)}}));
    }
    record.row = row;
    Outcome outcome = co_await accounts_->recorder().commit(std::move(record));
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    co_return Status();
  }

  std::shared_ptr<ChatModel> model_;
  std::string strategy_;
  std::shared_ptr<Accounts> accounts_;
};

}  // namespace

Amount amount_of(const chat::CallNote& note) {
  return {0, note.remote ? static_cast<int64_t>(note.sent) : 0, to_nano(note.cost)};
}

std::vector<Limit> Accounts::limits(const std::string& caller, const std::string& team) const {
  std::vector<Limit> out;
  auto add = [&](const Limit& limit, std::string scope) {
    if (!limit.requests && !limit.remote_calls && !limit.money) return;
    out.push_back(limit);
    out.back().scope = std::move(scope);
  };
  if (options_.all) add(*options_.all, "all");
  if (auto found = options_.teams.find(team); found != options_.teams.end())
    add(found->second, "team:" + team);
  if (auto found = options_.keys.find(caller); found != options_.keys.end()) {
    add(found->second, "key:" + caller);
  } else if (!caller.empty()) {
    auto keys = recorder_->keys();
    for (const KeyRow& key : *keys) {
      if (key.name == caller) add(key.budget, "key:" + caller);
    }
  }
  return out;
}

std::shared_ptr<chat::ChatModel> make_accounted(std::shared_ptr<chat::ChatModel> model, std::string strategy,
                                                std::shared_ptr<Accounts> accounts) {
  return std::make_shared<Accounted>(std::move(model), std::move(strategy), std::move(accounts));
}

}  // namespace bantam::collab
