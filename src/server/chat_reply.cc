#include "server/chat_reply.h"

#include <ctime>
#include <set>

#include "net/http.h"
#include "net/json.h"
#include "net/sse.h"
#include "server/reply_json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json tool_call_json(const chat::ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

/// Name and id stand in the first part of a call only.
json call_delta_json(const chat::ToolCallDelta& call) {
  json out = {{"index", call.index}, {"function", {{"arguments", call.arguments}}}};
  if (!call.id.empty()) {
    out["id"] = call.id;
    out["type"] = "function";
  }
  if (!call.name.empty()) out["function"]["name"] = call.name;
  return out;
}

class ChatReply final : public ReplyFormat {
 public:
  explicit ChatReply(ChatReplyOptions options)
      : options_(std::move(options)),
        id_(net::random_id("chatcmpl-")),
        created_(std::time(nullptr)),
        head_(fmt::format(
            R"({{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"system_fingerprint":"{}","choices":)",
            id_, created_, net::to_text(options_.model), fingerprint())) {}

  std::string whole(std::span<const chat::Reply> replies) override {
    json choices = json::array();
    for (const chat::Reply& reply : replies) choices.push_back(choice_json(choices.size(), reply));
    return net::to_text({{"id", id_},
                         {"object", "chat.completion"},
                         {"created", created_},
                         {"model", options_.model},
                         {"system_fingerprint", fingerprint()},
                         {"choices", std::move(choices)},
                         {"usage", usage_json(total_usage(replies))},
                         {"bantam", bantam_json(replies)}});
  }

  std::string begin() override { return ""; }

  std::string event(uint32_t index, const chat::Event& event) override {
    std::string out = opened(index);
    if (auto* text = std::get_if<chat::TextDelta>(&event)) {
      std::string delta = fmt::format(R"({{"content":{}}})", net::to_text(text->text));
      out += sent(choice_chunk(index, delta, "null", options_.logprobs ? &text->logprobs : nullptr));
    } else if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) {
      out += sent(choice_chunk(index, net::to_text({{"tool_calls", json::array({call_delta_json(*call)})}})));
    } else if (auto* verdict = std::get_if<chat::Verdict>(&event)) {
      json ours = verdict_json(*verdict);
      ours["index"] = index;
      out += sent(head_ + R"([],"bantam":)" + net::to_text(ours));
    }
    return out;
  }

  std::string finish(uint32_t index, const chat::Reply& reply) override {
    std::string out = opened(index);
    last_ = choice_chunk(index, "{}", net::to_text(reply.finish_reason));
    return out;
  }

  std::string end(std::span<const chat::Reply> replies) override {
    std::string ours = R"(,"bantam":)" + net::to_text(bantam_json(replies));
    std::string out;
    if (options_.include_usage) {
      out = release();
      std::string usage = net::to_text(usage_json(total_usage(replies)));
      out += net::sse_event(head_ + R"([],"usage":)" + usage + ours + "}");
    } else {
      out = net::sse_event(std::exchange(last_, "") + ours + "}");
    }
    return out + net::sse_event("[DONE]");
  }

  std::string failure(const ApiError& error) override { return release() + net::sse_event(error.json()); }

 private:
  json choice_json(size_t index, const chat::Reply& reply) const {
    json message = {{"role", "assistant"}, {"content", reply.text}, {"refusal", nullptr}};
    if (!reply.tool_calls.empty()) {
      if (reply.text.empty()) message["content"] = nullptr;
      for (const chat::ToolCall& call : reply.tool_calls)
        message["tool_calls"].push_back(tool_call_json(call));
    }
    json logprobs;
    if (options_.logprobs) logprobs = {{"content", logprobs_json(reply.logprobs)}, {"refusal", nullptr}};
    return {{"index", index},
            {"message", std::move(message)},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", reply.finish_reason}};
  }

  /// A chunk of one choice without its closing brace, written by hand around its one variable part: there is
  /// one for every piece of text.
  std::string choice_chunk(uint32_t index, std::string_view delta, std::string_view finish_reason = "null",
                           const std::vector<chat::TokenLogprob>* logprobs = nullptr) const {
    std::string odds = "null";
    if (logprobs) odds = net::to_text({{"content", logprobs_json(*logprobs)}, {"refusal", nullptr}});
    return fmt::format(R"({}[{{"index":{},"delta":{},"logprobs":{},"finish_reason":{}}}])", head_, index,
                       delta, odds, finish_reason);
  }
  std::string sent(const std::string& chunk) const {
    return net::sse_event(chunk + (options_.include_usage ? R"(,"usage":null})" : "}"));
  }
  /// The chunk that ended another answer waits for whether it is the last, which carries what is ours.
  std::string release() { return last_.empty() ? "" : sent(std::exchange(last_, "")); }
  /// What comes before anything of this answer.
  std::string opened(uint32_t index) {
    std::string out = release();
    if (!open_.insert(index).second) return out;
    return out + sent(choice_chunk(index, R"({"role":"assistant","content":"","refusal":null})"));
  }

  ChatReplyOptions options_;
  std::string id_;
  int64_t created_;
  std::string head_;         // of every chunk, up to its choices
  std::set<uint32_t> open_;  // answers that have begun
  std::string last_;
};

}  // namespace

std::unique_ptr<ReplyFormat> make_chat_reply(ChatReplyOptions options) {
  return std::make_unique<ChatReply>(std::move(options));
}

}  // namespace bantam::server
