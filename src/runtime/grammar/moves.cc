// What each kind of frame does with the next byte.

#include <string_view>

#include "runtime/grammar/character.h"
#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {
namespace {

// Phases of objects and arrays; the phase of strings is 0 before the opening quote, 1 inside.
enum ObjectPhase : uint8_t { kBefore, kOpened, kInKey, kAfterKey, kColon, kAfterValue, kComma };

constexpr uint8_t kOneSpace = 1, kLine = 2, kMostIndent = 40;

}  // namespace

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
    case State::kSequence:
      return sequence_moves(s, byte, out);
    case State::kUntil:
      return until_moves(s, byte, out);
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
  if (between_characters(s) && byte == '"') {
    if (automaton.accepts(s.b)) out.push_back({kPop});
    return;
  }
  if (read_byte(automaton, byte, true, next, &State::b)) out.push_back({intern(next)});
}

void Machine::raw_moves(const State& s, uint8_t byte, Moves& out) {
  if (s.b == CharDfa::kDead) return;
  State next = s;
  if (read_byte(dfa(s.a), byte, false, next, &State::b)) out.push_back({intern(next)});
}

void Machine::until_moves(const State& s, uint8_t byte, Moves& out) {
  static const CharDfa kAny = CharDfa::lengths(0, UINT32_MAX);
  State next = s;
  if (s.b != CharDfa::kDead && read_byte(dfa(s.a), byte, false, next, &State::b)) {
    const bool marked = between_characters(next) && dfa(s.a).accepts(next.b);
    out.push_back({marked ? kPop : intern(next)});
    return;
  }
  next = s;  // any character, and no marker behind it
  int32_t State::*nowhere = &State::c;
  if (!read_byte(kAny, byte, false, next, nowhere)) return;
  next.b = between_characters(next) ? CharDfa::kDead : s.b;
  next.c = 0;
  out.push_back({intern(next)});
}

/// The last value takes the sequence's place, so that what repeats itself needs no deeper stack.
void Machine::sequence_moves(const State& s, uint8_t byte, Moves& out) {
  const std::vector<int> values = sequences_[static_cast<size_t>(s.a)];
  for (auto i = static_cast<size_t>(s.b); i < values.size(); ++i) {
    if (i + 1 < values.size()) {
      State next = s;
      next.b = static_cast<int32_t>(i) + 1;
      enter(values[i], byte, intern(next), out);
    } else {
      const Value last = values_[static_cast<size_t>(values[i])];
      for (int state : last) moves(state, byte, out);
    }
    if (!nullable(values[i])) return;
  }
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
  if (between_characters(s) && byte == '"') {
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
  const auto& open = situations_[static_cast<size_t>(s.b)].open;
  if (read_byte(keys, byte, true, next, &State::c, &open)) out.push_back({intern(next)});
}

bool begins_in_key(const State& s) {
  return s.kind == State::kObject && s.phase == kInKey && between_characters(s);
}

}  // namespace bantam::runtime::grammar
