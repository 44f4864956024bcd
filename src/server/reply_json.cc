#include "server/reply_json.h"

#include "net/json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(); }

json bantam_of(const chat::Reply& reply) {
  json steps = json::array();
  for (const chat::Step& step : reply.steps) {
    steps.push_back({{"model", step.model},
                     {"outcome", step.outcome},
                     {"confidence", or_null(step.confidence)},
                     {"cost", step.cost},
                     {"seconds", step.seconds},
                     {"usage", usage_json(step.usage)}});
  }
  return {{"answered_by", reply.answered_by},
          {"confidence", or_null(reply.confidence)},
          {"cost", reply.cost},
          {"unverified", reply.unverified},
          {"notes", reply.notes},
          {"steps", std::move(steps)}};
}

json bytes_json(std::string_view text) {
  json out = json::array();
  for (char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

}  // namespace

json usage_json(const chat::Usage& usage) {
  json out{{"prompt_tokens", usage.prompt_tokens},
           {"completion_tokens", usage.completion_tokens},
           {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
           {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
  if (usage.drafted_tokens > 0) {
    out["completion_tokens_details"] = {
        {"accepted_prediction_tokens", usage.accepted_tokens},
        {"rejected_prediction_tokens", usage.drafted_tokens - usage.accepted_tokens}};
  }
  return out;
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

json bantam_json(std::span<const chat::Reply> replies) {
  if (replies.size() == 1) return bantam_of(replies[0]);
  json answers = json::array();
  double cost = 0;
  for (const chat::Reply& reply : replies) {
    answers.push_back(bantam_of(reply));
    cost += reply.cost;
  }
  return {{"cost", cost}, {"answers", std::move(answers)}};
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
