#include "server/chat_reply.h"

#include <ctime>
#include <set>

#include "net/http.h"
#include "net/json.h"
#include "net/json_text.h"
#include "net/sse.h"
#include "server/reply_json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

void write_tool_call(net::JsonText& out, const chat::ToolCall& call) {
  out.open('{').key("id").text(call.id).key("type").text("function").key("function").open('{');
  out.key("name").text(call.name).key("arguments").text(call.arguments).close('}').close('}');
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
      : options_(std::move(options)), id_(net::random_id("chatcmpl-")), created_(std::time(nullptr)) {}

  std::string whole(std::span<const chat::Reply> replies) override {
    net::JsonText out;
    out.open('{').key("id").text(id_).key("object").text("chat.completion");
    out.key("created").whole(static_cast<uint64_t>(created_)).key("model").text(options_.model);
    out.key("system_fingerprint").text(fingerprint()).key("choices").open('[');
    for (size_t i = 0; i < replies.size(); ++i) write_choice(out, i, replies[i]);
    out.close(']').key("usage");
    write_usage(out, total_usage(replies));
    out.key("bantam");
    write_bantam(out, replies);
    return out.close('}').take();
  }

  std::string begin() override { return ""; }

  std::string event(uint32_t index, const chat::Event& event) override {
    std::string out = opened(index);
    if (auto* text = std::get_if<chat::TextDelta>(&event)) {
      net::JsonText written;
      std::string delta = written.open('{').key("content").text(text->text).close('}').take();
      out += sent(choice_chunk(index, delta, "null", options_.logprobs ? &text->logprobs : nullptr));
    } else if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) {
      out += sent(choice_chunk(index, net::to_text({{"tool_calls", json::array({call_delta_json(*call)})}})));
    } else if (auto* verdict = std::get_if<chat::Verdict>(&event)) {
      json ours = verdict_json(*verdict);
      ours["index"] = index;
      out += sent(head() + R"([],"bantam":)" + net::to_text(ours));
    }
    return out;
  }

  std::string finish(uint32_t index, const chat::Reply& reply) override {
    std::string out = opened(index);
    last_ = choice_chunk(index, "{}", net::to_text(reply.finish_reason));
    return out;
  }

  std::string end(std::span<const chat::Reply> replies) override {
    net::JsonText text;
    write_bantam(text, replies);
    std::string ours = R"(,"bantam":)" + text.take();
    std::string out;
    if (options_.include_usage) {
      out = release();
      write_usage(text, total_usage(replies));
      out += net::sse_event(head() + R"([],"usage":)" + text.take() + ours + "}");
    } else {
      out = net::sse_event(std::exchange(last_, "") + ours + "}");
    }
    return out + net::sse_event("[DONE]");
  }

  std::string failure(const ApiError& error) override { return release() + net::sse_event(error.json()); }

 private:
  void write_choice(net::JsonText& out, size_t index, const chat::Reply& reply) const {
    out.open('{').key("index").whole(index).key("message");
    out.open('{').key("role").text("assistant").key("content");
    const bool calls = !reply.tool_calls.empty();
    if (calls && reply.text.empty())
      out.null();
    else
      out.text(reply.text);
    out.key("refusal").null();
    if (calls) {
      out.key("tool_calls").open('[');
      for (const chat::ToolCall& call : reply.tool_calls) write_tool_call(out, call);
      out.close(']');
    }
    out.close('}').key("logprobs");
    if (options_.logprobs)
      out.raw(net::to_text({{"content", logprobs_json(reply.logprobs)}, {"refusal", nullptr}}));
    else
      out.null();
    out.key("finish_reason").text(reply.finish_reason).close('}');
  }

  /// The beginning of every chunk, up to its choices.
  const std::string& head() const {
    if (head_.empty()) {
      head_ = fmt::format(
          R"({{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"system_fingerprint":"{}","choices":)",
          id_, created_, net::to_text(options_.model), fingerprint());
    }
    return head_;
  }
  /// A chunk of one choice without its closing brace, written by hand around its one variable part: there is
  /// one for every piece of text.
  std::string choice_chunk(uint32_t index, std::string_view delta, std::string_view finish_reason = "null",
                           const std::vector<chat::TokenLogprob>* logprobs = nullptr) const {
    std::string odds = "null";
    if (logprobs) odds = net::to_text({{"content", logprobs_json(*logprobs)}, {"refusal", nullptr}});
    return fmt::format(R"({}[{{"index":{},"delta":{},"logprobs":{},"finish_reason":{}}}])", head(), index,
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
  mutable std::string head_;
  std::set<uint32_t> open_;  // answers that have begun
  std::string last_;
};

}  // namespace

std::unique_ptr<ReplyFormat> make_chat_reply(ChatReplyOptions options) {
  return std::make_unique<ChatReply>(std::move(options));
}

}  // namespace bantam::server
