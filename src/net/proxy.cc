#include "net/proxy.h"

#include <openssl/evp.h>

#include <algorithm>

namespace bantam::net {
namespace {

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

bool is_direct(const std::string& rule, const Url& url) {
  if (rule == "*") return true;
  std::string_view name = rule;
  // A port counts where one stands there; an IPv6 address without brackets has colons of its own.
  if (const size_t colon = name.rfind(':');
      colon != std::string_view::npos && (name.find(':') == colon || name.starts_with('['))) {
    if (name.substr(colon + 1) != std::to_string(url.port)) return false;
    name = name.substr(0, colon);
  }
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (name.starts_with("*.")) name.remove_prefix(1);
  if (name.starts_with('.')) name.remove_prefix(1);
  if (name.empty()) return false;
  return url.host == name || url.host.ends_with("." + std::string(name));
}

}  // namespace

const Proxy* ProxyRules::of(const Url& url) const {
  const auto& proxy = url.tls ? https : http;
  if (!proxy || is_loopback(url.host)) return nullptr;
  if (std::ranges::any_of(direct, [&](const std::string& rule) { return is_direct(rule, url); }))
    return nullptr;
  return &*proxy;
}

Result<Proxy> parse_proxy(std::string_view text) {
  const size_t scheme = text.find("://");
  std::string rest(scheme == std::string_view::npos ? text : text.substr(scheme + 3));
  const std::string protocol = scheme == std::string_view::npos ? "http" : lower_case(text.substr(0, scheme));
  if (protocol != "http") {
    return fail(Code::kUnsupported, "found a proxy that is spoken to by {}, expected http", protocol);
  }
  Proxy out;
  if (const size_t at = rest.rfind('@'); at != std::string::npos) {
    const auto credentials = percent_decode(std::string_view(rest).substr(0, at));
    if (!credentials) return fail(Code::kInvalidArgument, "found a broken escape in the proxy's user name");
    out.authorization = "Basic " + base64(*credentials);
    rest.erase(0, at + 1);
  }
  auto url = parse_url("http://" + rest);
  if (!url || url->target != "/") {
    return fail(Code::kInvalidArgument, "found no proxy, expected [http://][USER:PASSWORD@]HOST[:PORT]");
  }
  out.url = std::move(*url);
  return out;
}

std::vector<std::string> parse_direct(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty()) out.push_back(lower_case(name));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

Result<ProxyRules> proxies_of_environment(const std::function<std::string(const char*)>& get) {
  ProxyRules out;
  const auto read = [&](std::initializer_list<const char*> names, std::optional<Proxy>& to) -> Status {
    for (const char* name : names) {
      const std::string value = get(name);
      if (value.empty()) continue;
      auto proxy = parse_proxy(value);
      if (!proxy) return std::unexpected(std::move(proxy).error().in(name));
      to = std::move(*proxy);
      return {};
    }
    return {};
  };
  BANTAM_TRY(read({"http_proxy", "all_proxy", "ALL_PROXY"}, out.http));
  BANTAM_TRY(read({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}, out.https));
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    if (out.direct.empty()) out.direct = parse_direct(get(name));
  }
  return out;
}

}  // namespace bantam::net
