#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http_server.h"
#include "server/config.h"
#include "server/keyring.h"

namespace bantam::server {

/// Who may ask: the key, the Host field (against DNS rebinding), the page a browser's request comes from
/// (CORS, and requests that a page could send without asking first). Immutable; safe to use from many
/// threads.
class Access {
 public:
  /// `recorder`: of the ledger, whose keys may count; may be null. Errors: kNotFound when the key's variable is
  /// not set; kInvalidArgument for an address beyond loopback without a key.
  static Result<Access> open(const ServerConfig& config, std::shared_ptr<collab::Recorder> recorder = nullptr);

  /// The answer to a request that may not pass, or to a browser's preflight.
  std::optional<net::ServerResponse> check(const net::ServerRequest& request) const;
  /// Who sends a request; none: it has no right key, and check() refuses it.
  std::optional<Caller> caller(const net::ServerRequest& request) const;
  /// Adds what a browser needs to let an allowed page read the answer.
  void decorate(const net::ServerRequest& request, net::Headers& headers) const;

 private:
  bool host_allowed(const net::ServerRequest& request) const;
  bool origin_allowed(std::string_view origin) const;

  bool loopback_ = true;
  Keyring keyring_;
  std::vector<std::string> origins_, hosts_;
};

}  // namespace bantam::server
