#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace bantam::net {

/// Writes JSON straight to text, in one pass and without a tree, for what is written for every request.
/// Commas come by themselves; that members have names and brackets close is the caller's part. For one
/// thread.
class JsonText {
 public:
  JsonText() { out_.reserve(512); }
  JsonText& open(char bracket) {
    separate();
    out_ += bracket;
    return *this;
  }
  JsonText& close(char bracket) {
    out_ += bracket;
    return *this;
  }
  /// The name of the next member, which stands as it is: nothing in it needs an escape.
  JsonText& key(std::string_view name) {
    separate();
    out_.append(1, '"').append(name).append("\":");
    return *this;
  }
  /// Bytes that are not UTF-8 become U+FFFD.
  JsonText& text(std::string_view value);
  JsonText& whole(uint64_t value);
  /// The shortest text that reads as the same number; null where it is not finite.
  JsonText& number(double value);
  JsonText& number(float value);
  JsonText& flag(bool value) { return raw(value ? "true" : "false"); }
  JsonText& null() { return raw("null"); }
  /// A value that is JSON already.
  JsonText& raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
  }

  std::string take() { return std::exchange(out_, std::string()); }

 private:
  /// No value ends in one of these, so they tell that it is the first.
  void separate() {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
  }
  std::string out_;
};

}  // namespace bantam::net
