#include "runtime/grammar/machine.h"

#include <algorithm>

#include "runtime/grammar/character.h"

namespace bantam::runtime::grammar {

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
  if (state.kind == State::kRaw && between_characters(state)) ends = dfa(state.a).accepts(state.b);
  if (state.kind == State::kSequence) {
    const auto& values = sequences_[static_cast<size_t>(state.a)];
    ends = std::all_of(values.begin() + state.b, values.end(), [this](int value) { return nullable(value); });
  }
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

int Machine::sequence(std::vector<int> values) {
  sequences_.push_back(std::move(values));
  return intern({.kind = State::kSequence, .a = static_cast<int32_t>(sequences_.size()) - 1});
}

int Machine::until(CharDfa dfa) {
  const int start = dfa.start(), index = add_dfa(std::move(dfa));
  return intern({.kind = State::kUntil, .a = index, .b = start});
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
  if (in_text(thread.state)) return true;
  if (!may_end(thread.state) || thread.stack <= kBase) return false;
  return complete(pop(thread.stack));
}

bool Machine::in_text(int id) const {
  const State& s = state(id);
  if (s.kind != State::kSequence) return s.kind == State::kUntil && between_characters(s);
  const auto& values = sequences_[static_cast<size_t>(s.a)];
  if (static_cast<size_t>(s.b) == values.size()) return false;
  const Value& next = values_[static_cast<size_t>(values[static_cast<size_t>(s.b)])];
  return std::ranges::any_of(next, [this](int state) { return in_text(state); });
}

bool Machine::nullable(int value) const {
  return std::ranges::any_of(values_[static_cast<size_t>(value)],
                             [this](int state) { return may_end(state); });
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

}  // namespace bantam::runtime::grammar
