#include "collab/member.h"

#include <algorithm>
#include <limits>
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

constexpr uint64_t kTokensPerMessage = 16;  // what templates add around one
constexpr uint64_t kTokensPerRequest = 64;
constexpr uint64_t kMostBytesPerToken = 64;  // no text is so well compressed throughout
constexpr uint64_t kSpareBytes = 4096;
constexpr uint64_t kUnboundedAnswer = 4096;  // of one that was lost and had no max_tokens
constexpr uint64_t kTokensInFlight = 64;     // made by the remote side after we stopped listening

/// A call on its way.
struct Call {
  chat::CallNote note;
  double start = wall_seconds();
  uint64_t prompt_most = 0;
  uint64_t answer_most = std::numeric_limits<uint32_t>::max();
  std::vector<chat::Step> failed;  // attempts that the model says may have cost something
};

/// Passes an answer's events on, with originals in the placeholders' places.
class Pass {
 public:
  Pass(const chat::EventSink& sink, const Redaction* redaction, bool text_is_json, uint64_t most_bytes)
      : sink_(&sink), redaction_(redaction), most_bytes_(most_bytes) {
    if (redaction) text_.emplace(*redaction, text_is_json);
  }
  uint64_t bytes() const { return bytes_; }
  bool overrun() const { return bytes_ > most_bytes_; }

  Awaitable<bool> take(chat::Event event) {
    bool pass = true;
    if (auto* text = std::get_if<chat::TextDelta>(&event)) {
      bytes_ += text->text.size();
      if (text_) text->text = text_->feed(text->text);
      pass = !text->text.empty() || !text->logprobs.empty();
    } else if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) {
      bytes_ += call->name.size() + call->arguments.size();
      if (redaction_) call->arguments = arguments(call->index).feed(call->arguments);
      pass = !call->id.empty() || !call->name.empty() || !call->arguments.empty();
    } else if (auto* verdict = std::get_if<chat::Verdict>(&event); verdict && redaction_) {
      verdict->text = redaction_->restore(verdict->text, false);
    }
    if (overrun()) co_return false;
    if (!pass) co_return true;
    bool more = co_await (*sink_)(std::move(event));
    co_return more;
  }

  /// What was held back; at the end of a whole answer.
  Awaitable<bool> finish() {
    if (!text_) co_return true;
    std::string rest = text_->finish();
    if (!rest.empty()) {
      bool more = co_await (*sink_)(chat::TextDelta{std::move(rest)});
      if (!more) co_return false;
    }
    for (auto& [index, restorer] : arguments_) {
      rest = restorer.finish();
      if (rest.empty()) continue;
      chat::ToolCallDelta last;
      last.index = index;
      last.arguments = std::move(rest);
      bool more = co_await (*sink_)(std::move(last));
      if (!more) co_return false;
    }
    co_return true;
  }

 private:
  Restorer& arguments(uint32_t index) {
    return arguments_.try_emplace(index, *redaction_, true).first->second;
  }

  const chat::EventSink* sink_;
  const Redaction* redaction_;
  uint64_t most_bytes_, bytes_ = 0;
  std::optional<Restorer> text_;
  std::map<uint32_t, Restorer> arguments_;
};

void explain(Request& request) {
  static const char* const kText =
      "Placeholders in brackets such as [EMAIL_1] stand for private data. Treat each as if it were the data "
      "itself, and wherever you use one write it exactly as it is.";
  auto& messages = request.messages;
  if (messages.empty()) return;  // a text to continue has no place for it
  if (messages[0].role == "system" || messages[0].role == "developer") {
    messages[0].content += std::string("\n\n") + kText;
  } else {
    chat::Message message;
    message.role = "system";
    message.content = kText;
    messages.insert(messages.begin(), std::move(message));
  }
}

class Member final : public chat::ChatModel {
 public:
  Member(std::shared_ptr<ChatModel> model, MemberPolicy policy)
      : model_(std::move(model)), policy_(std::move(policy)) {}

  const std::string& name() const override { return model_->name(); }
  const chat::TaskInfo* task() const override { return model_->task(); }
  bool remote() const override { return model_->remote() && policy_.egress != Egress::kDeny; }
  chat::ModelLoad load() const override { return model_->load(); }
  std::shared_ptr<const runtime::Engine> engine() const override { return model_->engine(); }
  std::optional<chat::CertificateState> certificate() const override { return model_->certificate(); }

  Awaitable<Result<Reply>> generate(const Request& request, chat::EventSink sink) override {
    Call call = begin();
    if (Status allowed = admit(); !allowed)
      co_return refused(request.notes, call, std::move(allowed.error()));
    Request sent = request;
    std::optional<Redaction> redaction;
    if (redacts()) {
      redaction = redaction_of(request.caller, request.conversation);
      Status applied = redaction->apply(sent);
      if (!applied) co_return refused(request.notes, call, std::move(applied.error()));
      keep(*redaction, request.caller, request.conversation);
      if (policy_.explain && !redaction->counts().empty()) explain(sent);
    }
    const Redaction* redacted = redaction && !redaction->counts().empty() ? &*redaction : nullptr;
    call.prompt_most = most_prompt_tokens(sent);
    const std::vector<Limit> limits = limits_of(request.caller);
    bool bounded = !limits.empty() && !sent.max_tokens;
    if (bounded) sent.max_tokens = policy_.accounts->answer_tokens();
    if (sent.max_tokens) call.answer_most = *sent.max_tokens;
    Status opened = co_await open(call, request.caller, request.id, limits, redacted);
    if (!opened) co_return refused(request.notes, call, std::move(opened.error()));

    Pass pass(sink, redacted, request.format.kind != chat::ResponseFormat::Kind::kText,
              limits.empty() ? std::numeric_limits<uint64_t>::max()
                             : call.answer_most * kMostBytesPerToken + kSpareBytes);
    chat::EventSink inner;
    if (sink) inner = [&pass](chat::Event event) { return pass.take(std::move(event)); };
    sent.on_failed_step = [&call, &request](const chat::Step& step) {
      call.failed.push_back(step);
      if (request.on_failed_step) request.on_failed_step(step);
    };
    sent.notes = std::make_shared<chat::CallNotes>();
    Result<Reply> reply = co_await model_->generate(sent, std::move(inner));
    call.note.sent = sent.notes->sent.value_or(1);
    if (pass.overrun())
      reply = fail(Code::kQuota, "budget: '{}' ran on after its max_tokens of {}", name(), call.answer_most);
    figure(call, reply, pass.bytes());
    if (reply) complete(*reply, call, redacted, request, bounded);
    Status closed = co_await close(request.notes, std::move(call));
    if (!closed) co_return std::unexpected(std::move(closed.error()));
    if (reply && sink) {
      bool more = co_await pass.finish();
      if (!more) co_return fail(Code::kCancelled, "{}: the caller stopped the answer", name());
    }
    co_return reply;
  }

  Awaitable<Result<chat::Embeddings>> embed(const chat::EmbedRequest& request) override {
    Call call = begin();
    if (Status allowed = admit(); !allowed)
      co_return refused(request.notes, call, std::move(allowed.error()));
    chat::EmbedRequest sent = request;
    std::optional<Redaction> redaction;
    if (redacts()) redaction = redaction_of(request.caller, "");
    for (std::string& input : sent.inputs) {
      if (redaction) {
        auto text = redaction->text(input);
        if (!text) co_return refused(request.notes, call, std::move(text.error()));
        input = std::move(*text);
      }
      call.prompt_most += input.size() + kTokensPerMessage;
    }
    call.answer_most = 0;
    const std::vector<Limit> limits = limits_of(request.caller);
    Status opened =
        co_await open(call, request.caller, request.id, limits, redaction ? &*redaction : nullptr);
    if (!opened) co_return refused(request.notes, call, std::move(opened.error()));
    sent.notes = std::make_shared<chat::CallNotes>();
    Result<chat::Embeddings> reply = co_await model_->embed(sent);
    call.note.sent = sent.notes->sent.value_or(1);
    figure(call, reply, 0);
    if (reply && call.note.estimated) reply->cost = call.note.cost;
    if (reply && call.note.redactions > 0) reply->notes.push_back(redaction_note(*redaction));
    Status closed = co_await close(request.notes, std::move(call));
    if (!closed) co_return std::unexpected(std::move(closed.error()));
    co_return reply;
  }

 private:
  Call begin() const {
    Call call;
    call.note.model = model_->name();
    call.note.remote = model_->remote();
    return call;
  }
  Status admit() const {
    if (!model_->remote() || policy_.egress != Egress::kDeny) return {};
    return fail(Code::kDenied, "egress: '{}' sends nothing to '{}', which is beyond this machine",
                policy_.team, name());
  }
  bool redacts() const { return model_->remote() && policy_.egress == Egress::kRedact; }
  Redaction redaction_of(const std::string& caller, const std::string& conversation) const {
    return Redaction(policy_.redactor, policy_.conversations
                                           ? policy_.conversations->get(caller, conversation)
                                           : Conversations::Numbers());
  }
  void keep(const Redaction& redaction, const std::string& caller, const std::string& conversation) const {
    if (policy_.conversations) policy_.conversations->put(caller, conversation, redaction.numbers());
  }

  /// Budgets that a call of this model can touch.
  std::vector<Limit> limits_of(const std::string& caller) const {
    bool priced = policy_.prices.prompt > 0 || policy_.prices.completion > 0;
    if (!policy_.accounts || (!priced && !model_->remote())) return {};
    std::vector<Limit> limits = policy_.accounts->limits(caller, policy_.team);
    std::erase_if(limits, [](const Limit& limit) { return !limit.money && !limit.remote_calls; });
    return limits;
  }

  template <class Notes>
  std::unexpected<Error> refused(const Notes& notes, Call& call, Error error) const {
    call.note.outcome = error.code == Code::kDenied ? "denied" : "refused";
    call.note.seconds = wall_seconds() - call.start;
    call.note.reservation.clear();
    if (notes) notes->calls.push_back(std::move(call.note));
    return std::unexpected(std::move(error));
  }

  /// Reserves the worst case and writes down what is about to leave, in one commit.
  Awaitable<Status> open(Call& call, const std::string& caller, const std::string& id,
                         const std::vector<Limit>& limits, const Redaction* redaction) const {
    nlohmann::json replaced = nlohmann::json::object();
    if (redaction) {
      for (const auto& [type, count] : redaction->counts()) {
        replaced[type] = count;
        call.note.redactions += count;
      }
    }
    if (!policy_.accounts) co_return Status();
    Recorder& recorder = policy_.accounts->recorder();
    Record record;
    std::string day = utc_day(now_microseconds());
    if (!limits.empty()) {
      auto reservation = random_id();
      if (!reservation) co_return std::unexpected(std::move(reservation.error()));
      call.note.reservation = *reservation;
      chat::Usage most{call.prompt_most, call.answer_most, 0};
      record.reserve = Reservation{
          *reservation, day, {0, call.note.remote, to_nano(policy_.prices.of(most))}, limits, false};
    }
    if (call.note.remote && recorder.head()) {
      record.events.push_back(
          net::to_text({{"type", "egress"},
                        {"id", id},
                        {"key", caller},
                        {"team", policy_.team},
                        {"model", name()},
                        {"policy", policy_.egress == Egress::kRedact ? "redact" : "allow"},
                        {"replaced", std::move(replaced)}}));
    }
    if (!record.reserve && record.events.empty()) co_return Status();
    Outcome outcome = co_await recorder.commit(std::move(record));
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (*outcome) co_return fail(Code::kQuota, "{}", (*outcome)->message(day));
    co_return Status();
  }

  /// What the call came to, or the most it can have.
  template <class Answer>
  void figure(Call& call, const Result<Answer>& reply, uint64_t streamed) const {
    chat::CallNote& note = call.note;
    note.seconds = wall_seconds() - call.start;
    if (reply) {
      note.outcome = "answered";
      note.usage = reply->usage;
      note.cost = reply->cost;
      if (note.usage.prompt_tokens > 0 || !note.remote) return add_failed(call);
      if constexpr (requires { reply->text; }) streamed = std::max<uint64_t>(streamed, reply->text.size());
    } else {
      Code code = reply.error().code;
      note.outcome = code == Code::kCancelled ? "cancelled" : "failed: " + reply.error().message;
      // What failed before anything came cost nothing, unless the model says otherwise.
      if (streamed == 0) return add_failed(call);
      streamed += kTokensInFlight;
      if (!call.failed.empty()) call.failed.pop_back();  // it is this very call, of which we know more
    }
    note.estimated = true;
    note.usage = {call.prompt_most, std::min(call.answer_most, streamed), 0};
    note.cost = policy_.prices.of(note.usage);
    add_failed(call);
  }

  /// Attempts that failed and yet may have cost something: what the API said of them, or else the most.
  void add_failed(Call& call) const {
    for (const chat::Step& step : call.failed) {
      chat::Usage usage = step.usage;
      double cost = step.cost;
      if (usage.prompt_tokens == 0) {
        const uint64_t bound = policy_.accounts ? policy_.accounts->answer_tokens() : kUnboundedAnswer;
        usage = {call.prompt_most, std::min(call.answer_most, bound)};
        cost = std::max(cost, policy_.prices.of(usage));
        call.note.estimated = true;
      }
      call.note.cost += cost;
      call.note.usage.prompt_tokens += usage.prompt_tokens;
      call.note.usage.completion_tokens += usage.completion_tokens;
      call.note.usage.cached_tokens += usage.cached_tokens;
    }
  }

  static std::string redaction_note(const Redaction& redaction) {
    std::string out = "redaction: placeholders were sent in place of";
    for (const auto& [type, count] : redaction.counts()) out += fmt::format(" {} {}", count, type);
    return out;
  }

  void complete(Reply& reply, const Call& call, const Redaction* redaction, const Request& request,
                bool bounded) const {
    if (call.note.estimated) {
      // A team's cost is the sum of its steps'.
      if (!reply.steps.empty()) reply.steps.back().cost += call.note.cost - reply.cost;
      reply.cost = call.note.cost;
    }
    if (bounded)
      reply.notes.push_back(
          fmt::format("max_tokens: set to {}, since a budget needs a bound", call.answer_most));
    if (!redaction) return;
    reply.text = redaction->restore(reply.text, request.format.kind != chat::ResponseFormat::Kind::kText);
    for (chat::ToolCall& tool : reply.tool_calls) tool.arguments = redaction->restore(tool.arguments, true);
    reply.notes.push_back(redaction_note(*redaction));
    if (request.logprobs)
      reply.notes.emplace_back("logprobs: those of the placeholders, before originals were put back");
  }

  /// The reservation is settled with the request's row, or at once where nobody writes one.
  Awaitable<Status> close(const std::shared_ptr<chat::CallNotes>& notes, Call call) const {
    if (notes) {
      notes->calls.push_back(std::move(call.note));
    } else if (!call.note.reservation.empty()) {
      Record record;
      record.settle.push_back({call.note.reservation, amount_of(call.note)});
      Outcome outcome = co_await policy_.accounts->recorder().commit(std::move(record));
      if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    }
    co_return Status();
  }

  std::shared_ptr<ChatModel> model_;
  MemberPolicy policy_;
};

}  // namespace

uint64_t most_prompt_tokens(const Request& request) {
  uint64_t bytes = kTokensPerRequest + request.prompt.size() + request.format.schema.size() +
                   request.format.name.size() + request.format.description.size();
  for (const chat::Message& m : request.messages) {
    bytes += kTokensPerMessage + m.content.size() + m.name.size() + m.tool_call_id.size();
    for (const chat::ToolCall& call : m.tool_calls)
      bytes += kTokensPerMessage + call.id.size() + call.name.size() + call.arguments.size();
  }
  for (const chat::Tool& tool : request.tools)
    bytes += kTokensPerMessage + tool.name.size() + tool.description.size() + tool.parameters.size();
  for (const std::string& choice : request.choices) bytes += choice.size() + kTokensPerMessage;
  return bytes;
}

std::shared_ptr<chat::ChatModel> make_member(std::shared_ptr<chat::ChatModel> model, MemberPolicy policy) {
  return std::make_shared<Member>(std::move(model), std::move(policy));
}

}  // namespace bantam::collab
