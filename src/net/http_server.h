#pragma once
// An HTTP/1.1 server: a few I/O threads, each with connections of its own; handlers are coroutines on their
// connection's thread.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/awaitable.h"
#include "net/http.h"

namespace bantam::net {

struct ServerRequest {
  std::string id;      // unique, also sent back as x-request-id
  std::string method;  // "GET"
  std::string path;    // decoded, without the query
  std::string query;   // as it came, without "?"
  std::string tail;    // what a route's final "*" stands for
  Headers headers;
  std::string body;
  std::stop_token cancel;  // the client has gone (or closed its sending side), or the server stops and will
                           // not wait longer
};

struct ServerResponse {
  int status = 200;
  Headers headers;  // the server adds content-length, connection, date and x-request-id
  std::string body;
};

/// One request and the way to answer it. Belongs to the handler while it runs.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const ServerRequest& request() const = 0;
  /// Answers as a whole, once the handler returns. The first answer counts; respond() after it, or after
  /// begin(), has no effect.
  virtual void respond(ServerResponse response) = 0;
  /// Begins an answer in pieces (chunked; to an HTTP/1.0 client ended by closing); it ends when the handler
  /// returns. The header goes out with the first piece.
  virtual void begin(int status, Headers headers) = 0;
  /// Sends a piece; done when the system took it, so a slow client holds its handler back. One at a time.
  /// False when the client has gone: stop working.
  virtual Awaitable<bool> write(std::string piece) = 0;
};

/// Runs on its connection's I/O thread, so it must not block; with several threads, handlers of different
/// connections run at once. It is never cut off: when ServerRequest::cancel
/// fires it ends by itself, soon. The route and with it the handler outlive the awaitable.
using Handler = std::function<Awaitable<void>(Exchange&)>;

/// A handler that has nothing to wait for.
Handler plain_handler(std::function<void(Exchange&)> handler);

struct Route {
  std::string method;
  std::string path;  // whole, or with a final "*" that stands for one character or more: "/v1/models/*"
  Handler handler;
};

/// What was answered, for a log.
struct AccessRecord {
  std::string id, method, path;
  std::string route;  // the Route::path that answered; empty: none did
  int status = 0;     // 499: the client left before an answer began
  uint64_t body_bytes = 0;
  double seconds = 0;
  bool client_gone = false;
};

struct ServerOptions {
  std::string host = "127.0.0.1";                  // an address, or "localhost"
  uint16_t port = 0;                               // 0: one the system chooses
  std::string certificate_file;                    // PEM, with its chain; empty: plain HTTP
  std::string key_file;                            // PEM
  unsigned threads = 1;                            // for input and output, 1 to 64
  size_t max_connections = 1024;                   // one more gets 503
  size_t max_header_bytes = 16 << 10;              // more: 431
  size_t max_body_bytes = 8 << 20;                 // more: 413
  std::chrono::milliseconds idle_timeout{75'000};  // between two requests of a connection
  std::chrono::milliseconds header_timeout{
      10'000};  // from a request's first byte to the end of its header; then it is closed
  std::chrono::milliseconds body_timeout{60'000};   // for the whole body; then it is closed
  std::chrono::milliseconds write_timeout{30'000};  // for the client to take a piece
  std::chrono::milliseconds drain_timeout{
      30'000};  // for requests in work after a stop request; then they are cancelled

  /// The body of the answers the server gives by itself: 400, 404, 405, 413, 429, 431, 500, 503.
  /// Default: plain text. Of a request whose header could not be read only the id is known.
  std::function<ServerResponse(const ServerRequest& request, int status, const std::string& message)>
      error_response;
  // The functions are called on any of the I/O threads, at once where there are several, and must not block.

  /// Looks at a request's header before its body is read; a response given here is the answer.
  std::function<std::optional<ServerResponse>(const ServerRequest&)> gate;
  /// Adds fields to every answer to a request.
  std::function<void(const ServerRequest&, Headers&)> decorate;
  /// Told of every answer.
  std::function<void(const AccessRecord&)> on_access;
};

class HttpServer {
 public:
  /// Binds and listens; connections are taken once run() is called. Errors: kInvalidArgument (host that is no
  /// address, a bad option), kIo naming address and port, kNotFound and kCorrupt for a certificate or key
  /// that is missing or of no use.
  static Result<std::unique_ptr<HttpServer>> listen(ServerOptions options, std::vector<Route> routes);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  /// Serves on the calling thread (and the other I/O threads) until `stop`; then takes no new connections, lets the requests in work
  /// finish (at most drain_timeout), and returns. To be called once. Errors: kInternal.
  virtual Status run(std::stop_token stop) = 0;
  struct Load {
    size_t connections = 0, busy = 0;  // busy: requests whose handlers are at work
    bool draining = false;
  };
  /// Safe from any thread.
  virtual Load load() const = 0;
};

}  // namespace bantam::net
