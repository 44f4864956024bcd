#include "server/api_error.h"

#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

/// The parameter that opens a message of ours, as in "stop: …"; empty when none does.
std::string leading_param(std::string_view message) {
  std::string_view first = message.substr(0, message.find(':'));
  for (std::string_view name : {"messages",
                                "prompt",
                                "input",
                                "guided_choice",
                                "stop",
                                "max_tokens",
                                "temperature",
                                "top_p",
                                "top_k",
                                "min_p",
                                "seed",
                                "tools",
                                "tool_choice",
                                "parallel_tool_calls",
                                "response_format",
                                "logprobs",
                                "top_logprobs",
                                "frequency_penalty",
                                "presence_penalty",
                                "logit_bias",
                                "dimensions",
                                "model",
                                "lora",
                                "context_shift",
                                "typed_events"}) {
    if (first == name) return std::string(name);
  }
  return {};
}

const char* anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

ErrorForm error_form(std::string_view path) {
  return path == "/v1/messages" || path.starts_with("/v1/messages/") ? ErrorForm::kAnthropic
                                                                     : ErrorForm::kOpenAi;
}

std::string ApiError::json(ErrorForm form, std::string_view request_id) const {
  if (form == ErrorForm::kAnthropic) {
    std::string text =
        param.empty() || message.find(param) != std::string::npos ? message : param + ": " + message;
    nlohmann::json out = {{"type", "error"},
                          {"error", {{"type", anthropic_type(status)}, {"message", text}}}};
    if (!request_id.empty()) out["request_id"] = request_id;
    return net::to_text(out);
  }
  return net::to_text(
      {{"error",
        {{"message", message}, {"type", type}, {"param", or_null(param)}, {"code", or_null(code)}}}});
}

net::ServerResponse ApiError::response(const net::ServerRequest& request) const {
  net::ServerResponse out{
      status, {{"content-type", "application/json"}}, json(error_form(request.path), request.id)};
  // Remote models were asked again already; a client that did the same on top would multiply the calls.
  bool no_use = status == 502 || status == 504 || code == "insufficient_quota";
  if (no_use) out.headers.set("x-should-retry", "false");
  if (code == "rate_limit_exceeded") out.headers.set("retry-after", "1");
  return out;
}

ApiError api_error(const Error& error) {
  switch (error.code) {
    case Code::kLimit:
      return {
          .status = 400, .message = error.message, .param = "messages", .code = "context_length_exceeded"};
    case Code::kQuota:
      return {.status = 429,
              .message = error.message,
              .type = "insufficient_quota",
              .code = "insufficient_quota"};
    case Code::kDenied:
      return {.status = 403, .message = error.message, .code = "policy_denied"};
    case Code::kInvalidArgument:
      return {.status = 400,
              .message = error.message,
              .param = leading_param(error.message),
              .code = "invalid_value"};
    case Code::kUnsupported:
      return {.status = 400,
              .message = error.message,
              .param = leading_param(error.message),
              .code = "unsupported_parameter"};
    case Code::kCancelled:
      return {.status = 504, .message = error.message, .type = "server_error", .code = "timeout"};
    case Code::kUnavailable:
      return {.status = 502, .message = error.message, .type = "server_error", .code = "upstream_error"};
    case Code::kBusy:
      return {.status = 429, .message = error.message, .type = "requests", .code = "rate_limit_exceeded"};
    default:
      return {.status = 500, .message = error.message, .type = "server_error", .code = "internal_error"};
  }
}

ApiError api_error(int status, std::string message) {
  ApiError out{.status = status, .message = std::move(message)};
  if (status >= 500) out.type = "server_error";
  if (status == 429) {
    out.type = "requests";
    out.code = "rate_limit_exceeded";
  }
  return out;
}

}  // namespace bantam::server
