#include "server/tokens_wire.h"

#include "base/utf8.h"
#include "net/json.h"
#include "server/chat_request.h"
#include "server/generation_reader.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxTokens = 4 << 20;

class TokenizeReader final : public BodyReader {
 public:
  std::expected<TokenizeRequest, ApiError> read(const json& body);

 private:
  static const Field<TokenizeReader> kFields[];
  void prompt(const std::string& name, const json& value) {
    out_.ask.prompt.prompt = text(name, value).value_or("");
    ++sources_;
  }
  /// llama.cpp's name for it, whose default is no BOS.
  void content(const std::string& name, const json& value) {
    prompt(name, value);
    if (!special_given_) out_.ask.add_special = false;
  }
  void messages(const std::string&, const json&) {
    has_messages_ = true;
    ++sources_;
  }
  void add_special(const std::string& name, const json& value) {
    out_.ask.add_special = flag(name, value).value_or(true);
    special_given_ = true;
  }
  void parse_special(const std::string& name, const json& value) {
    out_.ask.parse_special = flag(name, value).value_or(false);
  }
  void token_texts(const std::string& name, const json& value) {
    out_.token_texts = flag(name, value).value_or(false);
  }
  void with_pieces(const std::string& name, const json& value) {
    out_.with_pieces = flag(name, value).value_or(false);
  }
  void only_true(const std::string& name, const json& value) { only(name, value, {true}); }

  /// Messages and tools are those of a chat completion.
  void read_messages(const json& body) {
    json chat = {{"model", "any"}, {"messages", body["messages"]}};
    if (const json* tools = member(body, "tools")) chat["tools"] = *tools;
    auto read = read_chat_request(net::ordered_text(chat), {});
    if (!read)
      error_ = std::move(read).error();
    else
      out_.ask.prompt = std::move(read->chats[0]);
  }

  TokenizeRequest out_;
  int sources_ = 0;
  bool special_given_ = false, has_messages_ = false;
};

const BodyReader::Field<TokenizeReader> TokenizeReader::kFields[] = {
    {"model", &TokenizeReader::model},
    {"prompt", &TokenizeReader::prompt},
    {"content", &TokenizeReader::content},
    {"messages", &TokenizeReader::messages},
    {"tools", &TokenizeReader::nothing},
    {"add_special_tokens", &TokenizeReader::add_special},
    {"add_special", &TokenizeReader::add_special},
    {"parse_special", &TokenizeReader::parse_special},
    {"return_token_strs", &TokenizeReader::token_texts},
    {"with_pieces", &TokenizeReader::with_pieces},
    {"add_generation_prompt", &TokenizeReader::only_true},
    {"continue_final_message", &TokenizeReader::only_false},
};

std::expected<TokenizeRequest, ApiError> TokenizeReader::read(const json& body) {
  required("", body, "model");
  read_members(*this, "", body, kFields);
  if (ok() && sources_ != 1) {
    problem("prompt", "missing_required_parameter",
            "Missing required parameter: exactly one of 'prompt', 'content' and 'messages'.");
  }
  if (ok() && has_messages_) read_messages(body);
  if (error_) return std::unexpected(*error_);
  out_.model = std::move(model_);
  return std::move(out_);
}

class DetokenizeReader final : public BodyReader {
 public:
  std::expected<DetokenizeRequest, ApiError> read(const json& body);

 private:
  static const Field<DetokenizeReader> kFields[];
  void tokens(const std::string& name, const json& value) {
    if (!is_array(name, value, 0, kMaxTokens)) return;
    for (size_t i = 0; i < value.size() && ok(); ++i) {
      if (auto id = whole(fmt::format("{}[{}]", name, i), value[i], 0, INT32_MAX))
        out_.tokens.push_back(static_cast<int32_t>(*id));
    }
  }
  DetokenizeRequest out_;
};

const BodyReader::Field<DetokenizeReader> DetokenizeReader::kFields[] = {
    {"model", &DetokenizeReader::model},
    {"tokens", &DetokenizeReader::tokens},
};

std::expected<DetokenizeRequest, ApiError> DetokenizeReader::read(const json& body) {
  for (const char* key : {"model", "tokens"}) required("", body, key);
  read_members(*this, "", body, kFields);
  if (error_) return std::unexpected(*error_);
  out_.model = std::move(model_);
  return std::move(out_);
}

/// A token's bytes as a text or, where they are none, as their values: llama.cpp's form.
nlohmann::json piece_json(const std::string& piece) {
  if (find_broken_utf8(piece) == std::string_view::npos) return piece;
  nlohmann::json bytes = nlohmann::json::array();
  for (char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

}  // namespace

std::expected<TokenizeRequest, ApiError> read_tokenize_request(std::string_view text) {
  return read_body(text, TokenizeReader());
}

std::string tokenize_reply(const TokenizeRequest& request, const chat::Tokens& tokens) {
  nlohmann::json out = {
      {"count", tokens.ids.size()}, {"max_model_len", tokens.context_length}, {"tokens", tokens.ids}};
  if (request.token_texts) out["token_strs"] = tokens.pieces;
  if (request.with_pieces) {
    out["tokens"] = nlohmann::json::array();
    for (size_t i = 0; i < tokens.ids.size(); ++i)
      out["tokens"].push_back({{"id", tokens.ids[i]}, {"piece", piece_json(tokens.pieces[i])}});
  }
  return net::to_text(out);
}

std::string count_reply(size_t tokens) { return net::to_text({{"input_tokens", tokens}}); }

std::expected<DetokenizeRequest, ApiError> read_detokenize_request(std::string_view text) {
  return read_body(text, DetokenizeReader());
}

std::string detokenize_reply(const std::string& text) {
  return net::to_text({{"prompt", text}, {"content", text}});
}

}  // namespace bantam::server
