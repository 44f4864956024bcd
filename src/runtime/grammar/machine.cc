#include "runtime/grammar/machine.h"

#include <algorithm>

#include "base/utf8.h"

namespace bantam::runtime::grammar {
namespace {

// Phases of objects and arrays; the phase of strings is 0 before the opening quote, 1 inside.
enum Phase : uint8_t { kBefore, kOpened, kInKey, kAfterKey, kColon, kAfterValue, kComma };

constexpr uint8_t kOneSpace = 1, kLine = 2, kMostIndent = 40;

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
                    const std::vector<bool>* open = nullptr) {
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

NumberState number_state(const State& s) {
  NumberState out;
  out.phase = static_cast<NumberState::Phase>(s.b & 15);
  out.negative = (s.b & 16) != 0;
  out.at_least = (s.b & 32) != 0;
  out.at_most = (s.b & 64) != 0;
  out.fraction = static_cast<uint8_t>(s.b >> 8);
  for (int32_t part : {s.f, s.e, s.d, s.c}) out.whole = out.whole << 32 | static_cast<uint32_t>(part);
  return out;
}

State with_number(State s, const NumberState& n) {
  s.b = n.phase | (n.negative ? 16 : 0) | (n.at_least ? 32 : 0) | (n.at_most ? 64 : 0) | n.fraction << 8;
  const auto part = [&](int shift) { return static_cast<int32_t>(static_cast<uint32_t>(n.whole >> shift)); };
  s.c = part(0);
  s.d = part(32);
  s.e = part(64);
  s.f = part(96);
  return s;
}

}  // namespace

size_t Machine::Hash::operator()(const State& s) const {
  uint64_t h = static_cast<uint64_t>(s.kind) | static_cast<uint64_t>(s.phase) << 8 |
               static_cast<uint64_t>(s.space) << 16;
  for (int32_t x : {s.a, s.b, s.c, s.d, s.e, s.f}) {
    h = (h ^ static_cast<uint32_t>(x)) * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 29;
  }
  return h;
}

Machine::Machine(MachineOptions options) : options_(options) {
  intern({});
  stacks_.assign(2, {});
}

int Machine::intern(const State& state) {
  const auto [place, fresh] = ids_.emplace(state, static_cast<int>(states_.size()));
  if (!fresh) return place->second;
  states_.push_back(&place->first);
  bool ends = false;
  if (state.kind == State::kNumber)
    ends = can_end(numbers_[static_cast<size_t>(state.a)], number_state(state));
  if (state.kind == State::kRaw && (state.f >> 16) == 0) ends = dfa(state.a).accepts(state.b);
  ends_.push_back(ends ? 1 : 0);
  rows_.emplace_back();
  return place->second;
}

Machine::Row& Machine::make_row(std::unique_ptr<Row>& place) {
  place = std::make_unique<Row>();
  place->fill(kUnknown);
  ++rows_made_;
  return *place;
}

void Machine::forget() {
  for (auto& row : rows_) row.reset();
  rows_made_ = 0;
}

int Machine::add_value(Value value) {
  values_.push_back(std::move(value));
  return static_cast<int>(values_.size()) - 1;
}

int Machine::literal(std::string text) {
  literals_.push_back(std::move(text));
  return intern({.kind = State::kLiteral, .a = static_cast<int32_t>(literals_.size()) - 1});
}

int Machine::free_string(uint32_t least, uint32_t most) {
  return intern({.kind = State::kFree,
                 .b = static_cast<int32_t>(std::min<uint32_t>(least, INT32_MAX)),
                 .c = most > INT32_MAX ? -1 : static_cast<int32_t>(most)});
}

int Machine::add_dfa(CharDfa dfa) {
  dfas_.push_back(std::move(dfa));
  return static_cast<int>(dfas_.size()) - 1;
}

int Machine::text(CharDfa dfa) {
  const int start = dfa.start(), index = add_dfa(std::move(dfa));
  return intern({.kind = State::kText, .a = index, .b = start});
}

int Machine::raw(CharDfa dfa) {
  const int start = dfa.start(), index = add_dfa(std::move(dfa));
  return intern({.kind = State::kRaw, .a = index, .b = start});
}

int Machine::number(NumberSpec spec) {
  numbers_.push_back(std::move(spec));
  return intern(with_number({.kind = State::kNumber, .a = static_cast<int32_t>(numbers_.size()) - 1}, {}));
}

int Machine::add_array(ArraySpec spec) {
  arrays_.push_back(std::move(spec));
  return static_cast<int>(arrays_.size()) - 1;
}

int Machine::add_object(ObjectSpec spec) {
  objects_.push_back(std::move(spec));
  return static_cast<int>(objects_.size()) - 1;
}

int Machine::array_state(int index) { return intern({.kind = State::kArray, .a = index}); }
int Machine::object_state(int index) { return intern({.kind = State::kObject, .a = index}); }

int Machine::push(int state, int stack) {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(state)) << 32 | static_cast<uint32_t>(stack);
  const auto [place, fresh] = stack_ids_.emplace(key, static_cast<int>(stacks_.size()));
  if (fresh) stacks_.push_back({state, stack});
  return place->second;
}

std::vector<Thread> Machine::start(int value) {
  std::vector<Thread> out;
  const int below = push(kDoneState, kEmpty);
  for (int state : values_[static_cast<size_t>(value)]) out.push_back({state, below});
  return out;
}

bool Machine::complete(Thread thread) const {
  if (thread.state == kDoneState) return thread.stack == kEmpty;
  if (!may_end(thread.state) || thread.stack <= kBase) return false;
  return pop(thread.stack).state == kDoneState;
}

void Machine::step(Thread thread, uint8_t byte, std::vector<Thread>& out, bool& popped) {
  const int to = move(thread.state, byte);
  const auto leave = [&] {
    if (thread.stack == kBase) {
      popped = true;
    } else {
      out.push_back(pop(thread.stack));
    }
  };
  if (to >= 0) {
    out.push_back({to, thread.stack});
  } else if (to == kPop) {
    leave();
  } else if (to == kSlow) {
    const Moves& all = slow_.at(static_cast<uint64_t>(thread.state) << 8 | byte);
    for (const Move& m : all) {
      if (m.push >= 0) {
        out.push_back({m.push, push(m.next, thread.stack)});
      } else if (m.next == kPop) {
        leave();
      } else {
        out.push_back({m.next, thread.stack});
      }
    }
  }
  if (may_end(thread.state) && thread.stack > kBase) step(pop(thread.stack), byte, out, popped);
}

bool Machine::matches(int value, std::string_view text) {
  auto threads = start(value);
  std::vector<Thread> next;
  for (char c : text) {
    next.clear();
    bool popped = false;
    for (Thread thread : threads) step(thread, static_cast<uint8_t>(c), next, popped);
    std::ranges::sort(next);
    next.erase(std::unique(next.begin(), next.end()), next.end());
    threads.swap(next);
    if (threads.empty()) return false;
  }
  return std::ranges::any_of(threads, [this](Thread thread) { return complete(thread); });
}

int Machine::compute(int state, uint8_t byte, int32_t& cell) {
  Moves out;
  moves(state, byte, out);  // may add states and rows, but moves no row
  if (out.empty()) return cell = kDead;
  if (out.size() == 1 && out[0].push < 0) return cell = out[0].next;
  slow_[static_cast<uint64_t>(state) << 8 | byte] = std::move(out);
  return cell = kSlow;
}

void Machine::moves(int id, uint8_t byte, Moves& out) {
  const State s = state(id);
  switch (s.kind) {
    case State::kDone:
      return;
    case State::kLiteral: {
      const auto& text = literals_[static_cast<size_t>(s.a)];
      if (static_cast<uint8_t>(text[static_cast<size_t>(s.b)]) != byte) return;
      State next = s;
      ++next.b;
      out.push_back({static_cast<size_t>(next.b) == text.size() ? kPop : intern(next)});
      return;
    }
    case State::kFree:
      return free_moves(s, byte, out);
    case State::kText:
      return text_moves(s, byte, out);
    case State::kRaw:
      return raw_moves(s, byte, out);
    case State::kNumber:
      return number_moves(s, byte, out);
    case State::kArray:
      return array_moves(s, byte, out);
    case State::kObject:
      return object_moves(s, byte, out);
  }
}

int Machine::space(const State& s, uint8_t byte) {
  if (!options_.spaces) return kDead;
  State next = s;
  if (s.space == 0 && byte == ' ') {
    next.space = kOneSpace;
  } else if (s.space == 0 && byte == '\n') {
    next.space = kLine;
  } else if (s.space >= kLine && s.space < kLine + kMostIndent && (byte == ' ' || byte == '\t')) {
    ++next.space;
  } else {
    return kDead;
  }
  return intern(next);
}

void Machine::enter(int value, uint8_t byte, int back, Moves& out) {
  const Value states = values_[static_cast<size_t>(value)];
  Moves first;
  for (int state : states) {
    first.clear();
    moves(state, byte, first);
    for (const Move& m : first) {
      if (m.next == kPop) {
        out.push_back({back});
      } else {
        out.push_back({back, m.next});
      }
    }
  }
}

void Machine::free_moves(const State& s, uint8_t byte, Moves& out) {
  State next = s;
  if (s.phase == 0) {
    if (byte != '"') return;
    next.phase = 1;
    out.push_back({intern(next)});
    return;
  }
  const int to = Free::next(s.a, byte);
  if (to == Free::kDead) return;
  if (to == Free::kQuote) {
    if (s.d >= s.b) out.push_back({kPop});
    return;
  }
  if (s.a == Free::kClean) {  // a character begins
    if (s.c >= 0 && s.d >= s.c) return;
    if (s.c >= 0 || s.d < s.b) ++next.d;
  }
  next.a = to;
  out.push_back({intern(next)});
}

void Machine::text_moves(const State& s, uint8_t byte, Moves& out) {
  State next = s;
  const CharDfa& automaton = dfa(s.a);
  if (s.phase == 0) {
    if (byte != '"' || s.b == CharDfa::kDead) return;
    next.phase = 1;
    out.push_back({intern(next)});
    return;
  }
  Partial partial(s);
  if (partial.size == 0 && byte == '"') {
    if (automaton.accepts(s.b)) out.push_back({kPop});
    return;
  }
  partial.add(byte);
  const Read read = read_character(automaton, s.b, partial.text(), true);
  if (!read.alive) return;
  if (read.whole) {
    next.b = read.state;
    next.e = next.f = 0;
  } else {
    partial.store(next);
  }
  out.push_back({intern(next)});
}

void Machine::raw_moves(const State& s, uint8_t byte, Moves& out) {
  if (s.b == CharDfa::kDead) return;
  State next = s;
  Partial partial(s);
  partial.add(byte);
  const Read read = read_character(dfa(s.a), s.b, partial.text(), false);
  if (!read.alive) return;
  if (read.whole) {
    next.b = read.state;
    next.e = next.f = 0;
  } else {
    partial.store(next);
  }
  out.push_back({intern(next)});
}

void Machine::number_moves(const State& s, uint8_t byte, Moves& out) {
  const auto to = next(numbers_[static_cast<size_t>(s.a)], number_state(s), static_cast<char>(byte));
  if (to) out.push_back({intern(with_number(s, *to))});
}

bool Machine::item(const ArraySpec& spec, int32_t index, int& value) const {
  if (static_cast<uint32_t>(index) >= spec.most) return false;
  value = static_cast<size_t>(index) < spec.first.size() ? spec.first[static_cast<size_t>(index)] : spec.rest;
  return value >= 0;
}

void Machine::array_moves(const State& s, uint8_t byte, Moves& out) {
  const ArraySpec& spec = arrays_[static_cast<size_t>(s.a)];
  State next = s;
  next.space = 0;
  if (s.phase == kBefore) {
    if (byte != '[') return;
    next.phase = kOpened;
    out.push_back({intern(next)});
    return;
  }
  if (const int to = space(s, byte); to != kDead) out.push_back({to});
  int value = -1;
  if (s.phase == kAfterValue) {
    if (byte == ']' && static_cast<uint32_t>(s.b) >= spec.least) out.push_back({kPop});
    if (byte == ',' && item(spec, s.b, value)) {
      next.phase = kComma;
      out.push_back({intern(next)});
    }
    return;
  }
  if (byte == ']' && s.phase == kOpened && spec.least == 0) out.push_back({kPop});
  if (!item(spec, s.b, value)) return;
  // Beyond what any bound speaks of the index stands still, so that the states are few.
  const auto last = std::max<size_t>(spec.first.size(), spec.least);
  if (spec.most != UINT32_MAX || static_cast<size_t>(s.b) < last) ++next.b;
  next.phase = kAfterValue;
  enter(value, byte, intern(next), out);
}

void Machine::object_moves(const State& s, uint8_t byte, Moves& out) {
  State next = s;
  next.space = 0;
  if (s.phase == kInKey) return key_moves(s, byte, out);
  if (s.phase == kBefore) {
    if (byte != '{') return;
    next.phase = kOpened;
    next.b = situation(s.a, std::vector<bool>(objects_[static_cast<size_t>(s.a)].required.size()), 0);
    out.push_back({intern(next)});
    return;
  }
  if (const int to = space(s, byte); to != kDead) out.push_back({to});
  const ObjectSpec& spec = objects_[static_cast<size_t>(s.a)];
  const Situation& here = situations_[static_cast<size_t>(s.b)];
  const int start = spec.keys < 0 ? CharDfa::kDead : dfa(spec.keys).start();
  const bool more = start != CharDfa::kDead && here.open[static_cast<size_t>(start)];
  switch (s.phase) {
    case kOpened:
    case kAfterValue:
      if (byte == '}' && here.may_end) out.push_back({kPop});
      if (s.phase == kAfterValue) {
        if (byte != ',' || !more) return;
        next.phase = kComma;
        out.push_back({intern(next)});
        return;
      }
      [[fallthrough]];
    case kComma:
      if (byte != '"' || !more) return;
      next.phase = kInKey;
      next.c = start;
      out.push_back({intern(next)});
      return;
    case kAfterKey:
      if (byte != ':') return;
      next.phase = kColon;
      out.push_back({intern(next)});
      return;
    default: {  // kColon
      const int value = next.d;
      next.phase = kAfterValue;
      next.d = 0;
      enter(value, byte, intern(next), out);
    }
  }
}

void Machine::key_moves(const State& s, uint8_t byte, Moves& out) {
  const ObjectSpec& spec = objects_[static_cast<size_t>(s.a)];
  const CharDfa& keys = dfa(spec.keys);
  State next = s;
  Partial partial(s);
  if (partial.size == 0 && byte == '"') {
    if (!keys.accepts(s.c)) return;
    const int rule = spec.rule_of[static_cast<size_t>(s.c)];
    if (rule < 0) return;
    const KeyRule& key = spec.rules[static_cast<size_t>(rule)];
    Situation here = situations_[static_cast<size_t>(s.b)];
    if (!here.allowed[static_cast<size_t>(rule)]) return;
    if (key.declared >= 0) {
      here.seen[static_cast<size_t>(key.declared)] = true;
    } else {
      ++here.others;
    }
    next.b = situation(s.a, std::move(here.seen), here.others);
    next.c = next.e = next.f = 0;
    next.d = key.value;
    next.phase = kAfterKey;
    out.push_back({intern(next)});
    return;
  }
  partial.add(byte);
  const Read read =
      read_character(keys, s.c, partial.text(), true, &situations_[static_cast<size_t>(s.b)].open);
  if (!read.alive) return;
  if (read.whole) {
    next.c = read.state;
    next.e = next.f = 0;
  } else {
    partial.store(next);
  }
  out.push_back({intern(next)});
}

bool begins_in_key(const State& s) {
  return s.kind == State::kObject && s.phase == kInKey && (s.f >> 16) == 0;
}

int Free::next_canonical(int state, uint8_t byte) {
  enum : int { kEscape = 1, kU = 101, kU0, kU00, kU000, kU001 };
  const bool hex = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
  switch (state) {
    case kEscape:
      if (byte == 'u') return kU;
      return byte == '/' ? kDead : next(state, byte);
    case kU:
      return byte == '0' ? kU0 : kDead;
    case kU0:
      return byte == '0' ? kU00 : kDead;
    case kU00:
      return byte == '0' ? kU000 : byte == '1' ? kU001 : kDead;
    case kU000: {  // not those that have a short form
      const uint8_t low = byte | 32;
      return hex && byte != '8' && byte != '9' && low != 'a' && low != 'c' && low != 'd' ? kClean : kDead;
    }
    case kU001:
      return hex ? kClean : kDead;
    default:
      return next(state, byte);
  }
}

int Free::next(int state, uint8_t byte) {
  enum : int {
    kEscape = 1,
    kHex4,
    kHex3,
    kHex2,
    kHex1,
    kAfterD,
    kHigh2,
    kHigh1,
    kLowSlash,
    kLowU,
    kLowD,
    kLow3,
    kLow2,
    kLow1,
    kTail1,
    kTail2,
    kTail3,
    kE0,
    kED,
    kF0,
    kF4
  };
  const bool hex = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
  const auto when = [](bool condition, int to) { return condition ? to : kDead; };
  const auto tail = [&](uint8_t first, uint8_t last, int to) {
    return when(byte >= first && byte <= last, to);
  };
  switch (state) {
    case kClean:
      if (byte == '"') return kQuote;
      if (byte == '\\') return kEscape;
      if (byte < 0x80) return byte < 0x20 ? kDead : kClean;
      if (byte >= 0xC2 && byte <= 0xDF) return kTail1;
      if (byte == 0xE0) return kE0;
      if (byte == 0xED) return kED;
      if (byte >= 0xE1 && byte <= 0xEF) return kTail2;
      if (byte == 0xF0) return kF0;
      if (byte >= 0xF1 && byte <= 0xF3) return kTail3;
      return when(byte == 0xF4, kF4);
    case kEscape:
      if (byte == 'u') return kHex4;
      return when(
          byte != 0 && std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos,
          kClean);
    case kHex4:
      return when(hex, (byte | 32) == 'd' ? kAfterD : kHex3);
    case kAfterD:
      if (byte >= '0' && byte <= '7') return kHex2;
      return when(byte == '8' || byte == '9' || (byte | 32) == 'a' || (byte | 32) == 'b', kHigh2);
    case kHex3:
      return when(hex, kHex2);
    case kHex2:
      return when(hex, kHex1);
    case kHex1:
      return when(hex, kClean);
    case kHigh2:
      return when(hex, kHigh1);
    case kHigh1:
      return when(hex, kLowSlash);
    case kLowSlash:
      return when(byte == '\\', kLowU);
    case kLowU:
      return when(byte == 'u', kLowD);
    case kLowD:
      return when((byte | 32) == 'd', kLow3);
    case kLow3:
      return when((byte | 32) >= 'c' && (byte | 32) <= 'f', kLow2);
    case kLow2:
      return when(hex, kLow1);
    case kLow1:
      return when(hex, kClean);
    case kTail1:
      return tail(0x80, 0xBF, kClean);
    case kTail2:
      return tail(0x80, 0xBF, kTail1);
    case kTail3:
      return tail(0x80, 0xBF, kTail2);
    case kE0:
      return tail(0xA0, 0xBF, kTail1);
    case kED:
      return tail(0x80, 0x9F, kTail1);
    case kF0:
      return tail(0x90, 0xBF, kTail2);
    case kF4:
      return tail(0x80, 0x8F, kTail2);
    default:
      return kDead;
  }
}

}  // namespace bantam::runtime::grammar
