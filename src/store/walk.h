#pragma once
// A GET along its redirects, and the decision whether to try again. Internal to store.

#include <functional>
#include <string>

#include "net/http_client.h"
#include "store/fetch.h"

namespace bantam::store {

/// How an attempt ended.
struct Outcome {
  Status status;
  bool again = false;  // trying again may help
  bool progress = false;
  bool reached = true;  // a request left at all
  std::optional<std::chrono::milliseconds> pause = std::nullopt;
};

/// What is asked for besides the URL.
struct Walk {
  net::Url url;
  net::Headers headers;
  std::optional<size_t> max_body_bytes = std::nullopt;
  std::function<void(const net::ClientResponse&)> on_redirect = nullptr;
  std::function<Status(const net::ClientResponse&)> on_head = nullptr;  // of the last answer
  std::function<net::Awaitable<bool>(std::string_view)> on_body = nullptr;
};

/// The last answer, whatever its status. Errors: those of HttpClient::send; kDenied for a redirect that
/// leaves https or goes to a host by plain http, kUnavailable for a Location that is none or more than ten.
net::Awaitable<Result<net::ClientResponse>> walk(net::HttpClient& client, const Walk& what,
                                                 const FetchOptions& options, net::CallTrace& trace);

/// What an answer with another status than the wanted ones means.
Outcome judge(const net::ClientResponse& response, const net::Url& url, const FetchOptions& options);
/// What an error of walk() means.
Outcome judge(Error error, const net::CallTrace& trace);

/// Runs `attempt` until it succeeds, or fails for good, or one of the limits in `options` is reached: failures
/// one after the other without progress, attempts, time that brought nothing, a pause that a server asks for.
net::Awaitable<Status> try_again(const std::function<net::Awaitable<Outcome>()>& attempt,
                                 const FetchOptions& options);

}  // namespace bantam::store
