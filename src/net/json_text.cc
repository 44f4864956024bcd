#include "net/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::net {
namespace {

/// The letter of a short escape; 0 where there is none.
char escape_of(char c) {
  switch (c) {
    case '"':
    case '\\':
      return c;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

// Objects, not functions: algorithms inline the ones and call the others for every byte.
constexpr auto kIsAscii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
constexpr auto kMustEscape = [](char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
};

template <class Number>
std::string number_text(Number value) {
  if (!std::isfinite(value)) return "null";
  return fmt::format("{}", value);
}

}  // namespace

JsonText& JsonText::text(std::string_view value) {
  if (!std::all_of(value.begin(), value.end(), kIsAscii)) return raw(to_text(std::string(value)));
  separate();
  out_ += '"';
  for (;;) {
    const size_t run =
        static_cast<size_t>(std::find_if(value.begin(), value.end(), kMustEscape) - value.begin());
    out_ += value.substr(0, run);
    if (run == value.size()) break;
    const char c = value[run];
    if (char letter = escape_of(c)) {
      out_.append(1, '\\').append(1, letter);
    } else {
      fmt::format_to(std::back_inserter(out_), "\\u{:04x}", static_cast<unsigned>(c));
    }
    value.remove_prefix(run + 1);
  }
  out_ += '"';
  return *this;
}

JsonText& JsonText::whole(uint64_t value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonText& JsonText::number(double value) { return raw(number_text(value)); }
JsonText& JsonText::number(float value) { return raw(number_text(value)); }

}  // namespace bantam::net
