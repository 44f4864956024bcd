#include "server/access.h"

#include <algorithm>
#include <utility>

#include "net/http.h"
#include "server/api_error.h"

namespace bantam::server {
namespace {

/// Fields a page may send: the APIs' own, and those that OpenAI's and Anthropic's clients add.
bool may_send(std::string_view field) {
  std::string name = net::lower_case(field);
  for (std::string_view allowed : {"authorization", "content-type", "accept", "user-agent", "idempotency-key",
                                   "x-request-id", "x-api-key", "x-conversation-id"}) {
    if (name == allowed) return true;
  }
  return name.starts_with("x-stainless-") || name.starts_with("openai-") || name.starts_with("anthropic-");
}

net::ServerResponse preflight(const net::ServerRequest& request) {
  std::string allowed;
  std::string_view asked = request.headers.get("access-control-request-headers").value_or("");
  while (!asked.empty()) {
    size_t comma = asked.find(',');
    std::string_view field = asked.substr(0, comma);
    asked.remove_prefix(comma == std::string_view::npos ? asked.size() : comma + 1);
    while (field.starts_with(' ')) field.remove_prefix(1);
    while (field.ends_with(' ')) field.remove_suffix(1);
    if (may_send(field)) allowed += (allowed.empty() ? "" : ", ") + std::string(field);
  }
  return {204,
          {{"access-control-allow-methods", "GET, POST, OPTIONS"},
           {"access-control-allow-headers", allowed},
           {"access-control-max-age", "600"}},
          ""};
}

/// The host of "http://host:port"; empty for anything else, such as "null".
std::string origin_host(std::string_view origin) {
  size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? "" : net::host_of(origin.substr(scheme + 3));
}

}  // namespace

Result<Access> Access::open(const ServerConfig& config, std::shared_ptr<collab::Recorder> recorder) {
  Access out;
  out.loopback_ = net::is_loopback(config.host);
  out.origins_ = config.cors_origins;
  for (const std::string& host : config.allowed_hosts) out.hosts_.push_back(net::lower_case(host));
  BANTAM_ASSIGN(out.keyring_, Keyring::open(config, std::move(recorder)));
  if (!out.loopback_ && !out.keyring_.needed()) {
    return fail(
        Code::kInvalidArgument,
        "server.host: found {}, which others can reach: set server.api_key_env, [[keys]] or ledger.keys, "
        "or use 127.0.0.1",
        config.host);
  }
  return out;
}

bool Access::host_allowed(const net::ServerRequest& request) const {
  if (!loopback_ && hosts_.empty()) return true;
  auto field = request.headers.get("host");
  if (!field) return true;  // HTTP/1.0, which no browser speaks
  std::string host = net::host_of(*field);
  return net::is_loopback(host) || std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
}

bool Access::origin_allowed(std::string_view origin) const {
  for (const std::string& allowed : origins_) {
    if (allowed == "*" || allowed == origin) return true;
  }
  return net::is_loopback(origin_host(origin));
}

std::optional<Caller> Access::caller(const net::ServerRequest& request) const {
  std::string_view field = request.headers.get("authorization").value_or("");
  constexpr std::string_view kScheme = "bearer ";
  std::string_view key =
      net::lower_case(field.substr(0, kScheme.size())) == kScheme ? field.substr(kScheme.size()) : "";
  if (field.empty()) key = request.headers.get("x-api-key").value_or("");  // as Anthropic's clients send it
  return keyring_.find(key);
}

std::optional<net::ServerResponse> Access::check(const net::ServerRequest& request) const {
  if (!host_allowed(request)) {
    return ApiError{
        .status = 403,
        .message = "The Host field names a host this server does not answer for (see allowed_hosts).",
        .code = "host_not_allowed"}
        .response(request);
  }
  auto origin = request.headers.get("origin");
  if (origin && !origin_allowed(*origin)) {
    return ApiError{.status = 403,
                    .message = "Pages of this origin may not use this server (see cors_origins).",
                    .code = "origin_not_allowed"}
        .response(request);
  }
  if (request.method == "OPTIONS" && origin) return preflight(request);
  const std::string& path = request.path;
  bool open_to_all = path == "/health" || path == "/ready";
  if (!open_to_all && !caller(request)) {
    bool given = request.headers.get("authorization") || request.headers.get("x-api-key");
    return ApiError{.status = 401,
                    .message = given
                                   ? "Incorrect API key provided."
                                   : "You didn't provide an API key: send it as 'Authorization: Bearer KEY'.",
                    .code = "invalid_api_key"}
        .response(request);
  }
  return std::nullopt;
}

void Access::decorate(const net::ServerRequest& request, net::Headers& headers) const {
  auto origin = request.headers.get("origin");
  headers.set("vary", "Origin");
  if (error_form(request.path) == ErrorForm::kAnthropic) headers.set("request-id", request.id);
  if (!origin || !origin_allowed(*origin)) return;
  headers.set("access-control-allow-origin", std::string(*origin));
  headers.set("access-control-expose-headers", "x-request-id, retry-after");
}

}  // namespace bantam::server
