#include "runtime/grammar/character.h"

#include "base/utf8.h"

namespace bantam::runtime::grammar {
namespace {

/// An unfinished character's bytes as two integers, first byte lowest; e: bytes 0 to 3, f: 4 and 5, and the
/// count.
struct Partial {
  std::array<uint8_t, 6> bytes{};
  size_t size = 0;

  explicit Partial(const State& s) {
    for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<uint8_t>(static_cast<uint32_t>(s.e) >> (8 * i));
    for (size_t i = 0; i < 2; ++i) bytes[4 + i] = static_cast<uint8_t>(static_cast<uint32_t>(s.f) >> (8 * i));
    size = static_cast<size_t>(s.f) >> 16;
  }
  void add(uint8_t byte) { bytes[size++] = byte; }
  void store(State& s) const {
    uint32_t e = 0, f = static_cast<uint32_t>(size) << 16;
    for (size_t i = 0; i < 4; ++i) e |= uint32_t{bytes[i]} << (8 * i);
    for (size_t i = 0; i < 2; ++i) f |= uint32_t{bytes[4 + i]} << (8 * i);
    s.e = static_cast<int32_t>(e);
    s.f = static_cast<int32_t>(f);
  }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), size}; }
};

/// The characters whose canonical form in a JSON string begins with some bytes.
struct Spelled {
  uint32_t first = 1, last = 0;  // first > last: none
  bool whole = false;            // one character, complete
};

Spelled one(uint32_t code) { return {code, code, true}; }

/// What an escape may stand for: the short forms, and \u00XX for the other control characters.
Spelled unescape(std::string_view text, std::array<uint32_t, 2>& more, size_t& count) {
  count = 0;
  if (text.size() == 1) {  // the backslash alone: any control character, quote or backslash
    more = {'"', '\\'};
    count = 2;
    return {0, 31, false};
  }
  if (text.size() == 2) {
    switch (text[1]) {
      case '"':
        return one('"');
      case '\\':
        return one('\\');
      case 'b':
        return one('\b');
      case 'f':
        return one('\f');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'u':
        return {0, 31, false};
      default:
        return {};
    }
  }
  if (text.size() <= 4) return text[text.size() - 1] == '0' ? Spelled{0, 31, false} : Spelled{};
  const auto hex = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  const int high = hex(text[4]);
  if (high != 0 && high != 1) return {};
  if (text.size() == 5)
    return {static_cast<uint32_t>(16 * high), static_cast<uint32_t>(16 * high + 15), false};
  const int low = hex(text[5]);
  if (low < 0) return {};
  const auto code = static_cast<uint32_t>(16 * high + low);
  const bool short_form = code == 8 || code == 9 || code == 10 || code == 12 || code == 13;
  return short_form ? Spelled{} : one(code);
}

Spelled utf8_range(std::string_view text) {
  const auto front = utf8_front(text);
  if (front.length > 0) return one(front.code);
  if (!front.cut) return {};
  // The least and the largest continuation that are well formed.
  const auto extreme = [&](int from, int to, int by) {
    std::string s(text);
    while (utf8_front(s).length == 0) {
      int byte = from;
      for (; byte != to + by; byte += by) {
        const auto next = utf8_front(s + static_cast<char>(byte));
        if (next.length > 0 || next.cut) break;
      }
      s += static_cast<char>(byte);
    }
    return static_cast<uint32_t>(utf8_front(s).code);
  };
  return {extreme(0x80, 0xBF, 1), extreme(0xBF, 0x80, -1), false};
}

/// The state of `dfa` after the bytes, if they are a whole character; whether they can become one that leads
/// somewhere.
struct Read {
  bool alive = false, whole = false;
  int state = CharDfa::kDead;
};

Read read_character(const CharDfa& dfa, int state, std::string_view text, bool escapes,
                    const std::vector<bool>* open) {
  std::array<uint32_t, 2> more{};
  size_t count = 0;
  Spelled spelled;
  if (escapes && text.front() == '\\') {
    spelled = unescape(text, more, count);
  } else if (escapes && (static_cast<uint8_t>(text.front()) < 0x20 || text.front() == '"')) {
    return {};
  } else {
    spelled = utf8_range(text);
  }
  Read out;
  out.whole = spelled.whole;
  if (spelled.whole) {
    out.state = dfa.next(state, spelled.first);
    out.alive = dfa.any_next(state, spelled.first, spelled.first, open);
    return out;
  }
  out.alive = spelled.first <= spelled.last && dfa.any_next(state, spelled.first, spelled.last, open);
  for (size_t i = 0; i < count; ++i) out.alive = out.alive || dfa.any_next(state, more[i], more[i], open);
  return out;
}

}  // namespace

bool read_byte(const CharDfa& dfa, uint8_t byte, bool escapes, State& next, int32_t State::*place,
               const std::vector<bool>* open) {
  Partial partial(next);
  partial.add(byte);
  const Read read = read_character(dfa, next.*place, partial.text(), escapes, open);
  if (!read.alive) return false;
  if (read.whole) {
    next.*place = read.state;
    next.e = next.f = 0;
  } else {
    partial.store(next);
  }
  return true;
}

}  // namespace bantam::runtime::grammar
