#include "server/completion_reply.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "net/http.h"
#include "net/json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json usage_json(const chat::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(); }

/// Who answered, how sure, for how much: the part of a reply that OpenAI's API does not have.
json bantam_json(const chat::Reply& reply) {
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

constexpr const char* kFingerprint = "bantam-" BANTAM_VERSION;

}  // namespace

CompletionReply::CompletionReply(std::string model, bool include_usage)
    : id_(net::random_id("chatcmpl-")),
      model_(std::move(model)),
      include_usage_(include_usage),
      created_(std::time(nullptr)) {}

std::string CompletionReply::whole(const chat::Reply& reply) const {
  json message = {{"role", "assistant"}, {"content", reply.text}, {"refusal", nullptr}};
  json choice = {{"index", 0},
                 {"message", std::move(message)},
                 {"logprobs", nullptr},
                 {"finish_reason", reply.finish_reason}};
  return net::to_text({{"id", id_},
                       {"object", "chat.completion"},
                       {"created", created_},
                       {"model", model_},
                       {"system_fingerprint", kFingerprint},
                       {"choices", json::array({std::move(choice)})},
                       {"usage", usage_json(reply.usage)},
                       {"bantam", bantam_json(reply)}});
}

/// Written by hand around its one variable part: a chunk is made for every piece of text. `more` holds
/// further members, each with a comma before it.
std::string CompletionReply::chunk(std::string_view delta_json, std::string_view finish_reason,
                                   std::string_view more) const {
  std::string finish = finish_reason.empty() ? "null" : net::to_text(finish_reason);
  std::string choices = delta_json.empty()
                            ? "[]"
                            : fmt::format(R"([{{"index":0,"delta":{},"logprobs":null,"finish_reason":{}}}])",
                                          delta_json, finish);
  return fmt::format(
      R"({{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"system_fingerprint":"{}","choices":{}{}}})",
      id_, created_, net::to_text(model_), kFingerprint, choices, more);
}

std::string CompletionReply::first() const {
  return chunk(R"({"role":"assistant","content":"","refusal":null})", "",
               include_usage_ ? R"(,"usage":null)" : "");
}

std::string CompletionReply::text(std::string_view piece) const {
  return chunk(fmt::format(R"({{"content":{}}})", net::to_text(piece)), "",
               include_usage_ ? R"(,"usage":null)" : "");
}

std::vector<std::string> CompletionReply::last(const chat::Reply& reply) const {
  std::string ours = R"(,"bantam":)" + net::to_text(bantam_json(reply));
  std::vector<std::string> out;
  if (include_usage_) {
    out.push_back(chunk("{}", reply.finish_reason, R"(,"usage":null)"));
    out.push_back(chunk("", "", R"(,"usage":)" + net::to_text(usage_json(reply.usage)) + ours));
  } else {
    out.push_back(chunk("{}", reply.finish_reason, ours));
  }
  out.push_back("[DONE]");
  return out;
}

}  // namespace bantam::server
