#include "server/messages_reply.h"

#include <optional>

#include "net/http.h"
#include "net/json.h"
#include "net/sse.h"
#include "server/reply_json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json messages_usage(const chat::Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - std::min(usage.cached_tokens, usage.prompt_tokens)},
          {"output_tokens", usage.completion_tokens},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"cache_creation_input_tokens", 0}};
}

const char* stop_reason(const std::string& finish_reason) {
  if (finish_reason == "length") return "max_tokens";
  if (finish_reason == "tool_calls") return "tool_use";
  if (finish_reason == "content_filter") return "refusal";
  return "end_turn";
}

/// A call's arguments as the object that this API has for them; a text that is none stays what it is.
json input_of(const std::string& arguments) {
  auto parsed = net::parse_json(arguments, "arguments");
  if (!parsed) return arguments.empty() ? json::object() : json(arguments);
  return std::move(*parsed);
}

class MessagesReply final : public ReplyFormat {
 public:
  explicit MessagesReply(std::string model) : model_(std::move(model)), id_(net::random_id("msg_")) {}

  std::string whole(std::span<const chat::Reply> replies) override {
    const chat::Reply& reply = replies[0];
    json content = json::array();
    if (!reply.text.empty()) content.push_back(text_block(reply.text));
    for (const chat::ToolCall& call : reply.tool_calls)
      content.push_back(tool_block(call.id, call.name, input_of(call.arguments)));
    json out = message(std::move(content), reply.usage);
    out["stop_reason"] = stop_reason(reply.finish_reason);
    out["bantam"] = bantam_json(replies);
    return net::to_text(out);
  }

  std::string begin() override { return sent("message_start", {{"message", message(json::array(), {})}}); }

  std::string event(uint32_t, const chat::Event& event) override {
    if (auto* text = std::get_if<chat::TextDelta>(&event)) {
      std::string out = open_call_ || !open_ ? open(text_block("")) : "";
      open_call_.reset();
      return out + delta({{"type", "text_delta"}, {"text", text->text}});
    }
    auto* call = std::get_if<chat::ToolCallDelta>(&event);
    if (!call) return "";  // typed verdicts cannot be asked for here
    std::string out;
    if (open_call_ != call->index) {
      out = open(tool_block(call->id, call->name, json::object()));
      open_call_ = call->index;
    }
    if (call->arguments.empty()) return out;
    return out + delta({{"type", "input_json_delta"}, {"partial_json", call->arguments}});
  }

  std::string finish(uint32_t, const chat::Reply&) override { return close(); }

  std::string end(std::span<const chat::Reply> replies) override {
    const chat::Reply& reply = replies[0];
    json change = {{"stop_reason", stop_reason(reply.finish_reason)}, {"stop_sequence", nullptr}};
    return sent("message_delta", {{"delta", std::move(change)},
                                  {"usage", messages_usage(reply.usage)},
                                  {"bantam", bantam_json(replies)}}) +
           sent("message_stop", json::object());
  }

  std::string failure(const ApiError& error) override {
    return net::sse_event(error.json(ErrorForm::kAnthropic), "error");
  }

 private:
  static json text_block(const std::string& text) {
    return {{"type", "text"}, {"text", text}, {"citations", nullptr}};
  }
  static json tool_block(const std::string& id, const std::string& name, json input) {
    return {{"type", "tool_use"}, {"id", id}, {"name", name}, {"input", std::move(input)}};
  }
  json message(json content, const chat::Usage& usage) const {
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model_},
            {"content", std::move(content)},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", messages_usage(usage)}};
  }

  static std::string sent(const char* type, json members) {
    members["type"] = type;
    return net::sse_event(net::to_text(members), type);
  }
  /// Begins a block, after the end of the one before.
  std::string open(json block) {
    std::string out = close();
    open_ = true;
    return out + sent("content_block_start", {{"index", index_}, {"content_block", std::move(block)}});
  }
  std::string delta(json change) const {
    return sent("content_block_delta", {{"index", index_}, {"delta", std::move(change)}});
  }
  std::string close() {
    if (!open_) return "";
    open_ = false;
    return sent("content_block_stop", {{"index", index_++}});
  }

  std::string model_, id_;
  size_t index_ = 0;  // of the open block, or the next one
  bool open_ = false;
  std::optional<uint32_t> open_call_;  // the call that the open block is
};

}  // namespace

std::unique_ptr<ReplyFormat> make_messages_reply(std::string model) {
  return std::make_unique<MessagesReply>(std::move(model));
}

}  // namespace bantam::server
