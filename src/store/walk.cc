#include "store/walk.h"

#include <algorithm>
#include <random>

#include "base/rng.h"
#include "net/async_event.h"
#include "net/retry.h"
#include "store/registry.h"

namespace bantam::store {
namespace {

constexpr int kMostRedirects = 10;
constexpr unsigned kRetriesUnreached = 2;  // of a host that never answered: it is probably misspelt

bool same_origin(const net::Url& a, const net::Url& b) {
  return a.tls == b.tls && a.host == b.host && a.port == b.port;
}

bool takes_token(const net::Url& url, const FetchOptions& options) {
  return !options.token.empty() && same_origin(url, options.token_for);
}

double seconds(std::chrono::steady_clock::duration time) { return std::chrono::duration<double>(time).count(); }

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

net::Awaitable<Result<net::ClientResponse>> walk(net::HttpClient& client, const Walk& what,
                                                 const FetchOptions& options, net::CallTrace& trace) {
  net::ClientRequest request;
  request.url = what.url;
  request.cancel = options.cancel;
  request.max_body_bytes = what.max_body_bytes;
  request.on_body = what.on_body;
  request.on_head = [&](const net::ClientResponse& head) {
    return is_redirect(head.status) || !what.on_head ? Status{} : what.on_head(head);
  };
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    if (auto allowed = check_transport(request.url); !allowed)
      co_return std::unexpected(std::move(allowed).error());
    request.headers = what.headers;
    request.headers.set("user-agent", "bantam/" BANTAM_VERSION);
    request.headers.set("accept-encoding", "identity");
    if (takes_token(request.url, options))
      request.headers.set("authorization", "Bearer " + options.token);
    auto response = co_await client.send(request, &trace);
    if (!response || !is_redirect(response->status)) co_return response;
    if (what.on_redirect) what.on_redirect(*response);
    auto next = redirect_target(request.url, response->headers.get("location").value_or(""));
    if (!next) co_return fail(Code::kUnavailable, "{}: {}", shown(request.url), next.error().message);
    if (request.url.tls && !next->tls) {
      co_return fail(Code::kDenied, "{}: found a redirect to plain http ({}), expected https",
                     shown(request.url), shown(*next));
    }
    request.url = std::move(*next);
  }
  co_return fail(Code::kUnavailable, "{}: found more than {} redirects", shown(what.url), kMostRedirects);
}

Outcome judge(const net::ClientResponse& response, const net::Url& url, const FetchOptions& options) {
  const int status = response.status;
  const std::string where = fmt::format("{}: found status {}", shown(url), status);
  Outcome out;
  if (status == 401 || status == 403) {
    out.status = fail(Code::kDenied, "{}, expected 200: {}", where,
                      takes_token(url, options)
                          ? "the token is not accepted for this model"
                          : "it wants a token (--token-env names the variable that holds one; it is sent to "
                            "the registry only)");
  } else if (status == 404 || status == 410) {
    out.status = fail(Code::kNotFound, "{}, expected a file there", where);
  } else {
    out.again = net::should_retry(status, response.headers);
    out.pause = net::asked_pause(response.headers);
    out.status = fail(status == 429 ? Code::kBusy : Code::kUnavailable, "{}, expected 200", where);
  }
  return out;
}

Outcome judge(Error error, const net::CallTrace& trace) {
  Outcome out;
  out.again = error.code == Code::kUnavailable && !trace.certificate_refused;
  out.reached = trace.request_sent;
  out.status = std::unexpected(std::move(error));
  return out;
}

net::Awaitable<Status> try_again(const std::function<net::Awaitable<Outcome>()>& attempt,
                                 const FetchOptions& options) {
  using Clock = std::chrono::steady_clock;
  Rng rng(std::random_device{}());
  unsigned failures = 0, tries = 0;
  Clock::duration idle{};  // attempts that brought nothing, and pauses
  bool reached = false;
  while (true) {
    const auto begin = Clock::now();
    Outcome outcome = co_await attempt();
    if (outcome.status || !outcome.again) co_return std::move(outcome.status);
    if (outcome.progress) {
      failures = 0;
    } else {
      idle += Clock::now() - begin;
    }
    reached = reached || outcome.reached;
    const unsigned most = reached ? options.retries : std::min(options.retries, kRetriesUnreached);
    if (failures++ >= most) co_return std::move(outcome.status);
    const std::string& why = outcome.status.error().message;
    if (++tries >= options.most_tries) {
      co_return fail(outcome.status.error().code,
                     "{}; found {} broken attempts, expected fewer; the same command goes on", why, tries);
    }
    const auto pause = outcome.pause.value_or(net::backoff(
        failures - 1, rng, options.first_pause, std::min(options.longest_pause, 32 * options.first_pause)));
    if (pause > options.longest_pause) {
      co_return fail(Code::kBusy, "{}; it asks to wait for {} s, expected at most {}", why,
                     pause.count() / 1000, options.longest_pause.count() / 1000);
    }
    if (idle + pause > options.longest_idle) {
      co_return fail(outcome.status.error().code,
                     "{}; found {:.0f} s of attempts and pauses that bring nothing, expected at most {:.0f}",
                     why, seconds(idle + pause), seconds(options.longest_idle));
    }
    idle += pause;
    if (options.note) {
      options.note(fmt::format("{}; trying again in {:.1f} s", why, seconds(pause)));
    }
    bool paused = co_await net::sleep_until(std::chrono::steady_clock::now() + pause, options.cancel);
    if (!paused) co_return fail(Code::kCancelled, "interrupted");
  }
}

}  // namespace bantam::store
