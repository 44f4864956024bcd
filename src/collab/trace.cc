#include "collab/trace.h"

#include <iterator>
#include <utility>

#include "base/usage.h"

namespace bantam::collab {

void Trace::add(chat::Reply& reply, std::string_view outcome) {
  for (chat::Step& step : std::exchange(reply.steps, {})) {
    if (!outcome.empty() && step.outcome == "answered") step.outcome = outcome;
    steps_.push_back(std::move(step));
  }
}

void Trace::add_failure(const std::string& model, std::string outcome, double seconds) {
  chat::Step step;
  step.model = model;
  step.seconds = seconds;
  step.outcome = std::move(outcome);
  steps_.push_back(std::move(step));
}

void Trace::add_failure(const std::string& model, const Error& error, double start) {
  add_failure(model, "failed: " + error.message, wall_seconds() - start);
}

void Trace::settle_first(std::string_view outcome) {
  if (!steps_.empty()) steps_.front().outcome = outcome;
}

chat::Reply Trace::finish(chat::Reply reply) {
  std::vector<chat::Step> own = std::exchange(reply.steps, {});
  reply.steps = std::move(steps_);
  reply.steps.insert(reply.steps.end(), std::make_move_iterator(own.begin()),
                     std::make_move_iterator(own.end()));
  reply.cost = 0;
  for (const chat::Step& step : reply.steps) reply.cost += step.cost;
  reply.notes.insert(reply.notes.end(), std::make_move_iterator(notes_.begin()),
                     std::make_move_iterator(notes_.end()));
  return reply;
}

}  // namespace bantam::collab
