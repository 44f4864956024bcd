#pragma once
// An HTTP/1.1 client of coroutines: http and https, time limits, cancellation, streamed bodies, connections
// used again.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/awaitable.h"
#include "net/http.h"
#include "net/proxy.h"

namespace bantam::net {

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{10'000};  // name look-up, TCP and TLS together
  std::chrono::milliseconds first_byte_timeout{
      120'000};                                    // from the request sent to the end of the answer's header
  std::chrono::milliseconds read_timeout{60'000};  // between two pieces of the body, and to send the request
  std::chrono::milliseconds keep_alive{20'000};    // how long an idle connection may be used again
  size_t max_idle = 256;                           // idle connections kept, of all hosts together
  size_t max_header_bytes = 64 << 10;
  size_t max_body_bytes = 64 << 20;
  std::string ca_file;    // PEM certificates to trust instead of the system's; empty: the system's
  std::string ca_folder;  // the same, as a folder of them under the names of their hashes (openssl rehash)
  ProxyRules proxies;     // default: none, whatever the environment says
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;  // empty where on_body took it
};

struct ClientRequest {
  std::string method = "GET";
  Url url;
  Headers headers;  // host, content-length and connection are added
  std::string body;
  std::stop_token cancel;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::optional<size_t> max_body_bytes;  // of what on_body takes, in place of the options' own
  /// Sees status and header before the body is read; an error ends the call and is its result.
  std::function<Status(const ClientResponse& head)> on_head;
  /// Takes the body of a 2xx answer piece by piece; awaited before more is read. False ends the call
  /// (kCancelled). Other answers' bodies are always collected.
  std::function<Awaitable<bool>(std::string_view piece)> on_body;
};

/// How far a call came; what a caller needs to decide whether trying again could do something twice.
struct CallTrace {
  bool reused = false;        // over a connection that had served another call
  bool request_sent = false;  // at least a part of the request left
  bool answer_begun = false;  // at least a part of the answer arrived
  bool certificate_refused = false;
};

/// Safe to use from many threads. Connections belong to the io_context a call runs on, and serve later calls
/// on it. Redirects are not followed; compressed bodies are neither asked for nor taken; certificates and
/// host names are always verified (TLS 1.2 or later). The call is never repeated, except over a fresh
/// connection when a reused one turns out closed before it took the request.
class HttpClient {
 public:
  /// Errors: kNotFound, kCorrupt for a ca_file that is missing or holds no certificate.
  static Result<std::unique_ptr<HttpClient>> create(ClientOptions options = {});
  virtual ~HttpClient() = default;

  /// Runs on the executor it is awaited on; `request` and `trace` live until it is done.
  /// Errors: kUnavailable (no such host, refused, TLS, silence, cut short, not HTTP), kCancelled (cancel,
  /// deadline, on_body), kLimit (an answer above the limits), kUnsupported (a compressed body; none is asked
  /// for). Messages begin with the URL's authority.
  virtual Awaitable<Result<ClientResponse>> send(const ClientRequest& request,
                                                 CallTrace* trace = nullptr) = 0;
};

}  // namespace bantam::net
