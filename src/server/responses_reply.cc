#include "server/responses_reply.h"

#include <ctime>

#include "net/http.h"
#include "net/json.h"
#include "net/sse.h"
#include "server/reply_json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json responses_usage(const chat::Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", 0}}},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

/// Builds the output's items from what is said; whole answers take the same way as streamed ones.
class ResponsesReply final : public ReplyFormat {
 public:
  ResponsesReply(json echo, bool logprobs) : response_(std::move(echo)), with_logprobs_(logprobs) {
    response_["id"] = net::random_id("resp_");
    response_["object"] = "response";
    response_["created_at"] = std::time(nullptr);
    response_["status"] = "in_progress";
    response_["error"] = nullptr;
    response_["incomplete_details"] = nullptr;
    response_["output"] = json::array();
    response_["usage"] = nullptr;
  }

  std::string whole(std::span<const chat::Reply> replies) override {
    const chat::Reply& reply = replies[0];
    if (!reply.text.empty()) event(0, chat::TextDelta{reply.text, reply.logprobs});
    for (size_t i = 0; i < reply.tool_calls.size(); ++i) {
      const chat::ToolCall& call = reply.tool_calls[i];
      event(0, chat::ToolCallDelta{static_cast<uint32_t>(i), call.id, call.name, call.arguments});
    }
    finish(0, reply);
    complete(replies);
    return net::to_text(response_);
  }

  std::string begin() override {
    std::string out = lifecycle("response.created");
    return out += lifecycle("response.in_progress");
  }

  std::string event(uint32_t, const chat::Event& event) override {
    if (auto* text = std::get_if<chat::TextDelta>(&event)) return take(*text);
    if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) return take(*call);
    return "";  // typed verdicts cannot be asked for here
  }

  std::string finish(uint32_t, const chat::Reply& reply) override {
    bool cut = reply.finish_reason == "length" || reply.finish_reason == "content_filter";
    std::string out;
    if (response_["output"].empty() && item_.is_null()) out += open_message();
    out += close(cut ? "incomplete" : "completed");
    response_["status"] = cut ? "incomplete" : "completed";
    if (cut) {
      const char* reason = reply.finish_reason == "length" ? "max_output_tokens" : "content_filter";
      response_["incomplete_details"] = {{"reason", reason}};
    }
    return out;
  }

  std::string end(std::span<const chat::Reply> replies) override {
    complete(replies);
    return lifecycle(response_["status"] == "incomplete" ? "response.incomplete" : "response.completed");
  }

  std::string failure(const ApiError& error) override {
    response_["status"] = "failed";
    const char* code = error.code == "rate_limit_exceeded" ? "rate_limit_exceeded"
                       : error.status < 500                ? "invalid_prompt"
                                                           : "server_error";
    response_["error"] = {{"code", code}, {"message", error.message}};
    if (!item_.is_null()) {
      item_["status"] = "incomplete";
      response_["output"].push_back(std::exchange(item_, json()));
    }
    return lifecycle("response.failed");
  }

 private:
  void complete(std::span<const chat::Reply> replies) {
    response_["usage"] = responses_usage(total_usage(replies));
    response_["completed_at"] = response_["status"] == "completed" ? json(std::time(nullptr)) : json();
    response_["bantam"] = bantam_json(replies);
  }

  std::string sent(const char* type, json members) {
    members["type"] = type;
    members["sequence_number"] = sequence_++;
    return net::sse_event(net::to_text(members), type);
  }
  std::string lifecycle(const char* type) { return sent(type, {{"response", response_}}); }
  /// An event about the open item.
  std::string about(const char* type, json members) {
    members["output_index"] = response_["output"].size();
    members["item_id"] = item_["id"];
    return sent(type, std::move(members));
  }
  std::string about_item(const char* type) {
    return sent(type, {{"output_index", response_["output"].size()}, {"item", item_}});
  }

  std::string open_message() {
    item_ = {{"id", net::random_id("msg_")},
             {"type", "message"},
             {"role", "assistant"},
             {"status", "in_progress"},
             {"content", json::array()}};
    std::string out = about_item("response.output_item.added");
    part_ = {
        {"type", "output_text"}, {"text", ""}, {"annotations", json::array()}, {"logprobs", json::array()}};
    return out + about("response.content_part.added", {{"content_index", 0}, {"part", part_}});
  }

  std::string take(const chat::TextDelta& text) {
    std::string out;
    if (item_.is_null() || item_["type"] != "message") {
      out = close("completed");
      out += open_message();
    }
    json odds = with_logprobs_ ? logprobs_json(text.logprobs) : json::array();
    part_["text"].get_ref<std::string&>() += text.text;
    for (const json& token : odds) part_["logprobs"].push_back(token);
    return out + about("response.output_text.delta",
                       {{"content_index", 0}, {"delta", text.text}, {"logprobs", std::move(odds)}});
  }

  std::string take(const chat::ToolCallDelta& call) {
    std::string out;
    if (item_.is_null() || item_["type"] != "function_call" || call_index_ != call.index) {
      out = close("completed");
      call_index_ = call.index;
      item_ = {{"id", net::random_id("fc_")}, {"type", "function_call"}, {"call_id", call.id},
               {"name", call.name},           {"status", "in_progress"}, {"arguments", ""}};
      out += about_item("response.output_item.added");
    }
    if (call.arguments.empty()) return out;
    item_["arguments"].get_ref<std::string&>() += call.arguments;
    return out + about("response.function_call_arguments.delta", {{"delta", call.arguments}});
  }

  /// Ends the open item, if there is one.
  std::string close(const char* status) {
    if (item_.is_null()) return "";
    std::string out;
    if (item_["type"] == "message") {
      out = about("response.output_text.done",
                  {{"content_index", 0}, {"text", part_["text"]}, {"logprobs", part_["logprobs"]}});
      out += about("response.content_part.done", {{"content_index", 0}, {"part", part_}});
      item_["content"].push_back(std::exchange(part_, json()));
    } else {
      out = about("response.function_call_arguments.done",
                  {{"name", item_["name"]}, {"arguments", item_["arguments"]}});
    }
    item_["status"] = status;
    out += about_item("response.output_item.done");
    response_["output"].push_back(std::exchange(item_, json()));
    return out;
  }

  json response_;
  bool with_logprobs_;
  uint64_t sequence_ = 0;
  json item_, part_;  // the open item and its text; null between two
  uint32_t call_index_ = 0;
};

}  // namespace

std::unique_ptr<ReplyFormat> make_responses_reply(json echo, bool logprobs) {
  return std::make_unique<ResponsesReply>(std::move(echo), logprobs);
}

}  // namespace bantam::server
