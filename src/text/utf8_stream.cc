#include "base/utf8.h"
#include "text/tokenizer.h"

namespace bantam::text {

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  std::string_view rest = held_;
  std::string out;
  while (!rest.empty()) {
    Utf8Char front = utf8_front(rest);
    if (front.cut) break;
    size_t taken = front.length;
    if (taken > 0) {
      out += rest.substr(0, taken);
    } else {  // one U+FFFD for the longest part that could have begun a sequence (Unicode 15, section 3.9)
      taken = 1;
      while (utf8_front(rest.substr(0, taken + 1)).cut) ++taken;
      out += kReplacementCharacter;
    }
    rest.remove_prefix(taken);
  }
  held_ = std::string(rest);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out(held_.empty() ? std::string_view() : kReplacementCharacter);
  held_.clear();
  return out;
}

}  // namespace bantam::text
