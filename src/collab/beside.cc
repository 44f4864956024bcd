#include "collab/beside.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "base/usage.h"

namespace bantam::collab {
namespace {

struct Stop {
  std::stop_source source;
  void operator()() { source.request_stop(); }
};

}  // namespace

struct Beside::State {
  State(LlmCall& m, chat::Request r, chat::EventSink s, net::AsyncEvent& c)
      : model(m), request(std::move(r)), sink(std::move(s)), changed(c), outer(request.cancel, Stop{source}) {
    request.cancel = source.get_token();
  }
  LlmCall& model;
  std::stop_source source;
  chat::Request request;
  chat::EventSink sink;
  net::AsyncEvent& changed;
  std::stop_callback<Stop> outer;
  std::optional<Result<chat::Reply>> reply;
  double start = wall_seconds(), end = 0;
};

Beside::Beside(boost::asio::any_io_executor executor, LlmCall& model, chat::Request request,
               chat::EventSink sink, net::AsyncEvent& changed)
    : state_(std::make_shared<State>(model, std::move(request), std::move(sink), changed)) {
  auto run = [](std::shared_ptr<State> s) -> chat::Awaitable<Result<chat::Reply>> {
    co_return co_await s->model.ask(s->request, s->sink);
  };
  auto finish = [s = state_](std::exception_ptr thrown, Result<chat::Reply> reply) {
    // A model that throws breaks its contract; the team must not hang for it.
    if (thrown) reply = fail(Code::kInternal, "{}: an exception left the model", s->model.name());
    s->reply = std::move(reply);
    s->end = wall_seconds();
    s->changed.set();
  };
  boost::asio::co_spawn(executor, run(state_), std::move(finish));
}

void Beside::stop() { state_->source.request_stop(); }
bool Beside::done() const { return state_->reply.has_value(); }
Result<chat::Reply>& Beside::reply() { return *state_->reply; }
double Beside::seconds() const { return (done() ? state_->end : wall_seconds()) - state_->start; }

}  // namespace bantam::collab
