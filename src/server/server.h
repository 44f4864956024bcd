#pragma once
// The OpenAI-compatible server: POST /v1/chat/completions, GET /v1/models, GET /v1/models/{id}, GET /health.

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "server/config.h"
#include "server/registry.h"

namespace bantam::server {

/// Takes a line of the log, without its line end. Called from any of the server's threads, also from several
/// at once. May be empty. A line never holds a prompt, an answer or a key.
using LogSink = std::function<void(std::string_view line)>;

class Server {
 public:
  /// Loads what the config names and listens. Errors: those of Registry::open, Access::open and
  /// HttpServer::listen.
  static Result<std::unique_ptr<Server>> open(const ServerConfig& config, LogSink log = {});
  /// The same over models made elsewhere; config.models and config.teams are not looked at.
  static Result<std::unique_ptr<Server>> open(const ServerConfig& config, Registry registry,
                                              LogSink log = {});
  virtual ~Server() = default;

  /// "http://127.0.0.1:8080"
  virtual std::string url() const = 0;
  /// Serves on the calling thread until `stop`, then finishes what is in work (config.drain_timeout). To be
  /// called once.
  virtual Status run(std::stop_token stop) = 0;
};

/// open() and run() until SIGTERM or SIGINT; a second signal ends the process at once. Says where it listens
/// in the log, as "listening on http://127.0.0.1:8080".
Status run(const ServerConfig& config, LogSink log);

}  // namespace bantam::server
