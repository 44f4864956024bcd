#pragma once
// Which proxy a request goes through, as curl's environment variables say.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace bantam::net {

/// An HTTP proxy: https goes through it by CONNECT (RFC 9110, section 9.3.6), http in absolute form.
struct Proxy {
  Url url;
  std::string authorization;  // of a Proxy-Authorization field; empty: none
};

struct ProxyRules {
  std::optional<Proxy> http, https;
  /// Hosts that are reached directly: "example.com" (and all below it), ".example.com", "10.0.0.1", "fd00::1",
  /// blocks of addresses ("10.0.0.0/8", "fd00::/8"), "*" for all; a port may follow ("example.com:8080",
  /// "[fd00::1]:8080"), IPv6 may stand in brackets. Names are not looked up. Loopback always is.
  std::vector<std::string> direct;

  /// Null where the request goes there directly.
  const Proxy* of(const Url& url) const;
};

/// "http://user:password@proxy.example:3128", the scheme and all before the host may be absent. Errors:
/// kInvalidArgument; kUnsupported for a proxy that is spoken to by another protocol (https, socks5).
Result<Proxy> parse_proxy(std::string_view text);

/// By http_proxy (small letters only: a web server's gateway sets HTTP_PROXY from a client's header),
/// https_proxy, all_proxy and no_proxy, the latter three in capitals too. `get` gives a variable's value,
/// empty where it is not set. Errors: those of parse_proxy, with the variable's name.
Result<ProxyRules> proxies_of_environment(const std::function<std::string(const char*)>& get);
/// A list as no_proxy has it, with commas or blanks between.
std::vector<std::string> parse_direct(std::string_view list);

}  // namespace bantam::net
