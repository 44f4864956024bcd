#include "net/http.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <ctime>
#include <iterator>
#include <random>
#include <span>
#include <utility>

namespace bantam::net {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

void append_printable(std::string& out, std::string_view text) {
  constexpr auto kPrintable = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (std::all_of(text.begin(), text.end(), kPrintable)) {
    out += text;
    return;
  }
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), kPrintable);
}

/// A Date field's text of a second.
std::string date_of(std::time_t now) {
  // The names are spelled here because strftime's follow the program's locale.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                     kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/// Splits "host", "host:port" and "[v6]:port"; false when it is none of these.
bool split_authority(std::string_view authority, std::string_view& host, std::string_view& port) {
  port = {};
  if (authority.starts_with('[')) {
    size_t close = authority.find(']');
    if (close == std::string_view::npos) return false;
    host = authority.substr(1, close - 1);
    std::string_view rest = authority.substr(close + 1);
    if (rest.empty()) return true;
    if (!rest.starts_with(':')) return false;
    port = rest.substr(1);
    return !port.empty();
  }
  size_t colon = authority.find(':');
  host = authority.substr(0, colon);
  if (colon == std::string_view::npos) return true;
  port = authority.substr(colon + 1);
  return !port.empty();
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return equal_without_case(field.first, name); });
  fields_.emplace_back(std::string(name), std::move(value));
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (equal_without_case(field, name)) return value;
  }
  return std::nullopt;
}

void write_field(std::string& out, std::string_view name, std::string_view value) {
  append_printable(out, name);
  out += ": ";
  append_printable(out, value);
  out += "\r\n";
}

void Headers::write(std::string& out) const {
  for (const auto& [name, value] : fields_) write_field(out, name, value);
}

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::string without_secrets(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  std::string_view rest = url.substr(begin);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  size_t at = authority.rfind('@');
  if (at == std::string_view::npos) {
    // What looks like a port and is none may begin a password with an unescaped '/', '?' or '#' in it.
    const size_t colon = authority.rfind(':');
    const bool port = colon == std::string_view::npos || authority.ends_with(']') ||
                      authority.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
    if (!port) at = rest.rfind('@');
  }
  if (at != std::string_view::npos) rest.remove_prefix(at + 1);
  return fmt::format("{}{}", url.substr(0, begin), rest.substr(0, rest.find_first_of("?#")));
}

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "URL '{}': {}", without_secrets(text).substr(0, 200), why);
  };
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return bad("found a space, control or non-ASCII character");
  }
  Url url;
  size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return bad("found no scheme, expected http:// or https://");
  std::string scheme = lower_case(text.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https")
    return bad("found scheme " + scheme + ", expected http or https");
  url.tls = scheme == "https";
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find('#') != std::string_view::npos) return bad("found a fragment");
  size_t path = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, path);
  url.target = path == std::string_view::npos ? "/" : std::string(rest.substr(path));
  if (url.target.starts_with('?')) url.target = fmt::format("/{}", url.target);
  if (authority.find('@') != std::string_view::npos)
    return bad("found a user name, which belongs into a header");
  std::string_view host, port;
  if (!split_authority(authority, host, port) || host.empty()) return bad("found no valid host");
  url.host = lower_case(host);
  url.port = url.tls ? 443 : 80;
  if (!port.empty()) {
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size() || url.port == 0)
      return bad("found a port that is not in 1..65535");
  }
  return url;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string host_of(std::string_view authority) {
  std::string_view host, port;
  if (!split_authority(authority, host, port)) return {};
  return lower_case(host);
}

bool is_loopback(std::string_view host) {
  std::string name = lower_case(host);
  if (name == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, name.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

std::string http_date() {
  thread_local std::time_t second = -1;
  thread_local std::string text;
  std::time_t now = std::time(nullptr);
  if (std::exchange(second, now) != now) text = date_of(now);
  return text;
}

namespace {

/// Counts forks, so that parent and child do not go on with the same random bytes.
unsigned forks() {
  static std::atomic<unsigned> count{0};
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] { ++count; });
  (void)registered;
  return count;
}

/// Random bytes, taken from their source many at a time: asking costs more than what is asked for.
class RandomBytes {
 public:
  std::span<const unsigned char> take(size_t n) {
    if (left_ < n || forks() != forks_) fill();
    left_ -= n;
    return {bytes_ + left_, n};
  }

 private:
  void fill() {
    forks_ = forks();
    left_ = sizeof bytes_;
    if (RAND_bytes(bytes_, sizeof bytes_) == 1) return;
    // Only where the system has no source of randomness; an id need not be secret.
    static std::atomic<uint64_t> fills{0};
    std::mt19937_64 other(fills++ ^
                          static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
    for (unsigned char& b : bytes_) b = static_cast<unsigned char>(other());
  }

  unsigned char bytes_[384];
  size_t left_ = 0;
  unsigned forks_ = 0;
};

}  // namespace

std::string random_id(std::string_view prefix) {
  static constexpr const char* kDigits = "0123456789abcdef";
  constexpr size_t kBytes = 12;
  thread_local RandomBytes random;
  std::string out;
  out.reserve(prefix.size() + 2 * kBytes);
  out += prefix;
  for (unsigned char b : random.take(kBytes)) {
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

}  // namespace bantam::net
