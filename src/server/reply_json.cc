#include "server/reply_json.h"

#include "net/json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

void write_confidence(net::JsonText& out, const std::optional<double>& value) {
  out.key("confidence");
  if (value)
    out.number(*value);
  else
    out.null();
}

void write_one(net::JsonText& out, const chat::Reply& reply) {
  out.open('{').key("answered_by").text(reply.answered_by);
  write_confidence(out, reply.confidence);
  out.key("cost").number(reply.cost).key("unverified").flag(reply.unverified).key("notes").open('[');
  for (const std::string& note : reply.notes) out.text(note);
  out.close(']').key("steps").open('[');
  for (const chat::Step& step : reply.steps) {
    out.open('{').key("model").text(step.model).key("outcome").text(step.outcome);
    write_confidence(out, step.confidence);
    out.key("cost").number(step.cost).key("seconds").number(step.seconds).key("usage");
    write_usage(out, step.usage);
    out.close('}');
  }
  out.close(']').close('}');
}

json bytes_json(std::string_view text) {
  json out = json::array();
  for (char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

}  // namespace

void write_usage(net::JsonText& out, const chat::Usage& usage) {
  out.open('{').key("prompt_tokens").whole(usage.prompt_tokens);
  out.key("completion_tokens").whole(usage.completion_tokens);
  out.key("total_tokens").whole(usage.prompt_tokens + usage.completion_tokens);
  out.key("prompt_tokens_details").open('{').key("cached_tokens").whole(usage.cached_tokens).close('}');
  if (usage.drafted_tokens > 0) {
    out.key("completion_tokens_details").open('{');
    out.key("accepted_prediction_tokens").whole(usage.accepted_tokens);
    out.key("rejected_prediction_tokens").whole(usage.drafted_tokens - usage.accepted_tokens).close('}');
  }
  out.close('}');
}

json usage_json(const chat::Usage& usage) {
  net::JsonText out;
  write_usage(out, usage);
  return json::parse(out.take());
}

chat::Usage total_usage(std::span<const chat::Reply> replies) {
  chat::Usage out;
  for (const chat::Reply& reply : replies) {
    out.prompt_tokens += reply.usage.prompt_tokens;
    out.completion_tokens += reply.usage.completion_tokens;
    out.cached_tokens += reply.usage.cached_tokens;
    out.drafted_tokens += reply.usage.drafted_tokens;
    out.accepted_tokens += reply.usage.accepted_tokens;
  }
  return out;
}

void write_bantam(net::JsonText& out, std::span<const chat::Reply> replies) {
  if (replies.size() == 1) return write_one(out, replies[0]);
  double cost = 0;
  for (const chat::Reply& reply : replies) cost += reply.cost;
  out.open('{').key("cost").number(cost).key("answers").open('[');
  for (const chat::Reply& reply : replies) write_one(out, reply);
  out.close(']').close('}');
}

json bantam_json(std::span<const chat::Reply> replies) {
  net::JsonText out;
  write_bantam(out, replies);
  return json::parse(out.take());
}

json verdict_json(const chat::Verdict& verdict) {
  using Kind = chat::Verdict::Kind;
  const char* word = verdict.kind == Kind::kDraft      ? "draft"
                     : verdict.kind == Kind::kVerified ? "verified"
                                                       : "revised";
  return {{"verdict", word}, {"text", verdict.text}, {"by", verdict.by}};
}

json logprob_json(const chat::TokenLogprob& token) {
  json top = json::array();
  for (const auto& [text, logprob] : token.top)
    top.push_back({{"token", text}, {"logprob", logprob}, {"bytes", bytes_json(text)}});
  return {{"token", token.text},
          {"logprob", token.logprob},
          {"bytes", bytes_json(token.text)},
          {"top_logprobs", std::move(top)}};
}

json logprobs_json(const std::vector<chat::TokenLogprob>& tokens) {
  json out = json::array();
  for (const chat::TokenLogprob& token : tokens) out.push_back(logprob_json(token));
  return out;
}

const std::string& fingerprint() {
  static const std::string kText = "bantam-" BANTAM_VERSION;
  return kText;
}

}  // namespace bantam::server
