#include "net/proxy.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>

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

/// An address of either family in the order of its bits.
struct Address {
  std::array<uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128; 0: it is none
};
Address address_of(std::string_view text) {
  Address out;
  const std::string name(text);
  if (::inet_pton(AF_INET, name.c_str(), out.bytes.data()) == 1) {
    out.bits = 32;
  } else if (::inet_pton(AF_INET6, name.c_str(), out.bytes.data()) == 1) {
    out.bits = 128;
  }
  return out;
}

bool same_beginning(const Address& a, const Address& b, unsigned bits) {
  if (a.bits == 0 || a.bits != b.bits || bits > a.bits) return false;
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  return rest == 0 || (a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest) == 0;
}

std::string_view without_last_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool is_direct(const std::string& rule, const Url& url) {
  if (rule == "*") return true;
  std::string_view name = rule;
  // A port counts where one stands there; an IPv6 address without brackets has colons of its own.
  const size_t colon = name.rfind(':'), close = name.rfind(']');
  if (colon != std::string_view::npos &&
      (close == std::string_view::npos ? name.find(':') == colon : colon == close + 1)) {
    if (name.substr(colon + 1) != std::to_string(url.port)) return false;
    name = name.substr(0, colon);
  }
  std::optional<unsigned> bits;
  if (const size_t slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view text = name.substr(slash + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits.emplace());
    if (error != std::errc() || end != text.data() + text.size()) return false;
    name = name.substr(0, slash);
  }
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  const Address host = address_of(url.host);
  if (host.bits != 0) return same_beginning(address_of(name), host, bits.value_or(host.bits));
  if (bits) return false;
  if (name.starts_with("*.")) name.remove_prefix(1);
  if (name.starts_with('.')) name.remove_prefix(1);
  name = without_last_dot(name);
  const std::string_view wanted = without_last_dot(url.host);
  return !name.empty() && (wanted == name || wanted.ends_with("." + std::string(name)));
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
    const size_t end = std::min(list.find_first_of(", \t"), list.size());
    if (end > 0) out.push_back(lower_case(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
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
