#include "collab/ask.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <deque>
#include <utility>

#include "chat/events.h"
#include "collab/beside.h"

namespace bantam::collab {

using chat::Awaitable;
using chat::Reply;
using chat::Request;

std::string question_of(const Request& request) {
  for (auto m = request.messages.rbegin(); m != request.messages.rend(); ++m) {
    if (m->role == "user") return m->content;
  }
  return request.prompt;
}

Request with_question(const Request& request, std::string text) {
  Request out = request;
  for (auto m = out.messages.rbegin(); m != out.messages.rend(); ++m) {
    if (m->role == "user") {
      m->content = std::move(text);
      return out;
    }
  }
  if (out.messages.empty()) {
    out.prompt = std::move(text);
  } else {
    out.messages.push_back({"user", std::move(text)});
  }
  return out;
}

Request side_question(const Request& request, std::string text, std::vector<std::string> choices) {
  Request out;
  out.messages.push_back({"user", std::move(text)});
  out.choices = std::move(choices);
  out.conversation = request.conversation;
  out.caller = request.caller;
  out.id = request.id;
  out.cancel = request.cancel;
  out.deadline = request.deadline;
  return out;
}

void add_labels(Request& request, const chat::ChatModel& slm) {
  if (request.choices.empty() && slm.task()) request.choices = slm.task()->labels;
}

Awaitable<std::vector<Result<Reply>>> ask_all(LlmCall& model, std::vector<Request> questions, size_t limit) {
  auto executor = co_await boost::asio::this_coro::executor;
  net::AsyncEvent changed(executor);
  std::deque<Beside> calls;  // in order; those before `next` have begun
  size_t next = 0;
  while (true) {
    size_t running =
        static_cast<size_t>(std::ranges::count_if(calls, [](const Beside& c) { return !c.done(); }));
    for (; next < questions.size() && running < std::max<size_t>(limit, 1); ++next, ++running)
      calls.emplace_back(executor, model, std::move(questions[next]), chat::EventSink{}, changed);
    if (running == 0) break;
    co_await changed.wait();
  }
  std::vector<Result<Reply>> out;
  for (Beside& call : calls) out.push_back(std::move(call.reply()));
  co_return out;
}

double share_of_yes(const Reply& reply, std::string_view yes) {
  bool says_yes = reply.text == yes;
  double sure = reply.confidence.value_or(1);
  return says_yes ? sure : 1 - sure;
}

Awaitable<Result<Reply>> hand_over(Reply reply, const chat::EventSink& sink, const std::string& team) {
  bool taken = co_await chat::send_whole(reply, sink);
  if (!taken) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", team);
  co_return reply;
}

Status check_models(const std::string& team, const std::shared_ptr<chat::ChatModel>& slm,
                    const std::shared_ptr<chat::ChatModel>& llm) {
  if (slm && llm) return {};
  return fail(Code::kInvalidArgument, "team '{}': found no model for {}", team, slm ? "llm" : "slm");
}

Status check_share(const std::string& team, std::string_view key, double value) {
  if (value >= 0 && value <= 1) return {};
  return fail(Code::kInvalidArgument, "team '{}': {} is {}, expected a number in 0..1", team, key, value);
}

}  // namespace bantam::collab
