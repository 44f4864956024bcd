#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_server.h"

namespace bantam::server {

/// An error as an OpenAI client expects it: {"error": {message, type, param, code}}.
struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};  // empty: null
  std::string code = {};   // empty: null

  std::string json() const;
  net::ServerResponse response() const;
};

/// A model's error: kLimit is context_length_exceeded; the param is the field's name that opens the message,
/// if one does.
ApiError api_error(const Error& error);
/// For an answer that has no more to say than its status: 404, 413, 429, 500 and the like.
ApiError api_error(int status, std::string message);

}  // namespace bantam::server
