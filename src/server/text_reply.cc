#include "server/text_reply.h"

#include <ctime>
#include <map>

#include "base/utf8.h"
#include "net/http.h"
#include "net/json.h"
#include "net/sse.h"
#include "server/reply_json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

class TextReply final : public ReplyFormat {
 public:
  explicit TextReply(TextReplyOptions options)
      : options_(std::move(options)), id_(net::random_id("cmpl-")), created_(std::time(nullptr)) {}

  std::string whole(std::span<const chat::Reply> replies) override {
    json choices = json::array();
    for (const chat::Reply& reply : replies) {
      auto index = static_cast<uint32_t>(choices.size());
      choices.push_back(choice(index, echo(index) + reply.text, reply.logprobs, reply.finish_reason));
    }
    json out = object(std::move(choices));
    out["usage"] = usage_json(total_usage(replies));
    out["bantam"] = bantam_json(replies);
    return net::to_text(out);
  }

  std::string begin() override { return ""; }

  std::string event(uint32_t index, const chat::Event& event) override {
    auto* text = std::get_if<chat::TextDelta>(&event);
    if (!text) return "";  // nothing else comes of a prompt without tools
    std::string out = release() + opened(index);
    return out + sent(object(json::array({choice(index, text->text, text->logprobs, nullptr)})));
  }

  std::string finish(uint32_t index, const chat::Reply& reply) override {
    std::string out = release() + opened(index);
    last_ = object(json::array({choice(index, "", {}, reply.finish_reason)}));
    return out;
  }

  std::string end(std::span<const chat::Reply> replies) override {
    std::string out;
    json last = std::exchange(last_, json());
    if (options_.include_usage) {
      out = sent(std::move(last));
      last = object(json::array());
      last["usage"] = usage_json(total_usage(replies));
    }
    last["bantam"] = bantam_json(replies);
    return out + net::sse_event(net::to_text(last)) + net::sse_event("[DONE]");
  }

  std::string failure(const ApiError& error) override { return release() + net::sse_event(error.json()); }

 private:
  json object(json choices) const {
    return {{"id", id_},
            {"object", "text_completion"},
            {"created", created_},
            {"model", options_.model},
            {"system_fingerprint", fingerprint()},
            {"choices", std::move(choices)}};
  }

  json choice(uint32_t index, std::string text, const std::vector<chat::TokenLogprob>& tokens, json finish) {
    return {{"index", index},
            {"logprobs", options_.logprobs ? odds(index, tokens) : json()},
            {"text", std::move(text)},
            {"finish_reason", std::move(finish)}};
  }

  /// In the form of this older endpoint: four lists side by side.
  json odds(uint32_t index, const std::vector<chat::TokenLogprob>& tokens) {
    json out = {{"tokens", json::array()},
                {"token_logprobs", json::array()},
                {"top_logprobs", json::array()},
                {"text_offset", json::array()}};
    for (const chat::TokenLogprob& token : tokens) {
      json top = json::object();
      for (const auto& [text, logprob] : token.top) top[text] = logprob;
      out["tokens"].push_back(token.text);
      out["token_logprobs"].push_back(token.logprob);
      out["top_logprobs"].push_back(std::move(top));
      out["text_offset"].push_back(offsets_[index]);
      offsets_[index] += utf8_length(token.text);
    }
    return out;
  }

  const std::string& echo(uint32_t index) const {
    static const std::string kNothing;
    return index < options_.echo.size() ? options_.echo[index] : kNothing;
  }
  std::string sent(json chunk) const {
    if (options_.include_usage) chunk["usage"] = nullptr;
    return net::sse_event(net::to_text(chunk));
  }
  std::string release() { return last_.is_null() ? "" : sent(std::exchange(last_, json())); }
  std::string opened(uint32_t index) {
    if (!begun_.emplace(index, true).second || echo(index).empty()) return "";
    return sent(object(json::array({choice(index, echo(index), {}, nullptr)})));
  }

  TextReplyOptions options_;
  std::string id_;
  int64_t created_;
  std::map<uint32_t, size_t> offsets_;  // of the next token in each answer's text
  std::map<uint32_t, bool> begun_;
  json last_;  // the end of an answer, as in ChatReply
};

}  // namespace

std::unique_ptr<ReplyFormat> make_text_reply(TextReplyOptions options) {
  return std::make_unique<TextReply>(std::move(options));
}

}  // namespace bantam::server
