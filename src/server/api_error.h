#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_server.h"

namespace bantam::server {

/// Whose client an error is for. OpenAI's: {"error": {message, type, param, code}}; Anthropic's: {"type":
/// "error", "error": {type, message}, "request_id"}, with a type for each status.
enum class ErrorForm { kOpenAi, kAnthropic };

/// The form in which the clients of a path expect errors.
ErrorForm error_form(std::string_view path);

/// An error as a client expects it.
struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};  // empty: null
  std::string code = {};   // empty: null

  /// `request_id`: where the form has one; empty: left out.
  std::string json(ErrorForm form = ErrorForm::kOpenAi, std::string_view request_id = {}) const;
  /// The answer to a request, in the form that its path's clients expect.
  net::ServerResponse response(const net::ServerRequest& request) const;
};

/// A model's error: kLimit is context_length_exceeded; the param is the field's name that opens the message,
/// if one does.
ApiError api_error(const Error& error);
/// For an answer that has no more to say than its status: 404, 413, 429, 500 and the like.
ApiError api_error(int status, std::string message);

}  // namespace bantam::server
