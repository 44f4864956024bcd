#pragma once
// /tokenize and /detokenize, apart from I/O, in the form of vLLM, and of llama.cpp's server where a request
// has its names.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "server/api_error.h"

namespace bantam::server {

struct TokenizeRequest {
  std::string model;
  chat::TokenizeRequest ask;
  bool token_texts = false;  // the tokens' texts are wanted as well
  bool with_pieces = false;  // llama.cpp's form of the same
};

std::expected<TokenizeRequest, ApiError> read_tokenize_request(std::string_view body);
std::string tokenize_reply(const TokenizeRequest& request, const chat::Tokens& tokens);
/// Anthropic's form of how many they are.
std::string count_reply(size_t tokens);

struct DetokenizeRequest {
  std::string model;
  std::vector<int32_t> tokens;
};

std::expected<DetokenizeRequest, ApiError> read_detokenize_request(std::string_view body);
std::string detokenize_reply(const std::string& text);

}  // namespace bantam::server
