#pragma once
// What the HTTP server and the HTTP client share: header fields and URLs.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bantam::net {

/// ASCII letters without their case, as HTTP compares names.
bool equal_without_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);

/// Header fields in their order; names compare without case (RFC 9110, section 5.1).
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields)
      : fields_(fields.begin(), fields.end()) {}

  /// Room for so many.
  void reserve(size_t fields) { fields_.reserve(fields); }
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name by one.
  void set(std::string_view name, std::string value);
  /// The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

  /// Appends "name: value\r\n" for each; control characters are dropped, so that a value never becomes a
  /// field of its own.
  void write(std::string& out) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Url {
  bool tls = false;
  std::string host;  // a name or an address; IPv6 without its brackets
  uint16_t port = 0;
  std::string target;  // path and query, at least "/"

  /// What goes into the Host field: the port only where it is not the scheme's own.
  std::string authority() const;
};

/// Errors: kInvalidArgument for a scheme other than http and https, no host, a bad port, user information, a
/// fragment, or a character that does not belong into a URL.
Result<Url> parse_url(std::string_view text);

/// A URL as messages and files may show it: without user name, password, query and fragment, where secrets
/// stand. Takes what is no valid URL too.
std::string without_secrets(std::string_view url);

/// Percent-decoding; nullopt for a broken escape or an encoded NUL.
std::optional<std::string> percent_decode(std::string_view text);

/// The host of a Host field, an authority or an origin without its port, in lower case: "[::1]:80" gives
/// "::1".
std::string host_of(std::string_view authority);
/// True for "localhost" and the loopback addresses of both families.
bool is_loopback(std::string_view host);

/// Appends one field as Headers::write does.
void write_field(std::string& out, std::string_view name, std::string_view value);

/// The standard reason phrase, such as "Not Found".
std::string_view reason_phrase(int status);
/// The present time as a Date field has it (RFC 9110, section 5.6.7).
std::string http_date();
/// A fresh identifier, not a secret: `prefix` and 24 random lower-case hexadecimal digits.
std::string random_id(std::string_view prefix);

}  // namespace bantam::net
