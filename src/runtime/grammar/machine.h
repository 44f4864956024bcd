#pragma once
// The automaton over bytes, with a stack, that a schema, a pattern or a list of texts becomes. States and
// their transitions are made when they are first met. Internal to runtime/grammar. Not for use by several
// threads at once.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "runtime/grammar/char_dfa.h"
#include "runtime/grammar/number.h"

namespace bantam::runtime::grammar {

/// What may follow in one frame of the stack. The meaning of a … f depends on the kind.
struct State {
  enum Kind : uint8_t {
    kDone,      // the whole text
    kLiteral,   // a: literal, b: byte
    kFree,      // a string in quotes; a: Free, b: least, c: most characters (-1: any), d: characters so far
    kText,      // a string in quotes by a CharDfa; a: automaton, b: its state, e, f: an unfinished character
    kRaw,       // likewise without quotes and escapes
    kNumber,    // a: number, b: phase and flags, c … f: whole part
    kObject,    // a: object, b: situation, c: state in the key, d: rule of the key, e, f: an unfinished
                // character
    kArray,     // a: array, b: index
    kSequence,  // a: sequence, b: index of the value that comes next
    kUntil,     // any text up to a marker; a: automaton of texts that hold it, b: its state (-1: it can no
                // longer come), e, f: an unfinished character
  };
  Kind kind = kDone;
  uint8_t phase = 0;
  uint8_t space = 0;  // white space so far, where some may stand
  int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
  bool operator==(const State&) const = default;
};

/// A value: any one of these states begins it.
using Value = std::vector<int>;

struct ArraySpec {
  std::vector<int> first;  // values of the first items
  int rest = -1;           // value of the others; -1: none may follow
  uint32_t least = 0, most = UINT32_MAX;
};

struct KeyRule {
  int declared = -1;  // index into ObjectSpec::required; -1: not declared, may come more than once
  int value = -1;
};

struct ObjectSpec {
  int keys = -1;             // CharDfa of the keys; -1: none
  int sink = -1;             // its state for keys of which nothing more is said; -1: none
  std::vector<int> rule_of;  // of each of its accepting states, -1: that key is refused
  std::vector<KeyRule> rules;
  std::vector<bool> required;              // of the declared keys
  std::vector<std::pair<int, int>> needs;  // a declared key that needs another
  uint32_t least = 0, most = UINT32_MAX;   // keys
  std::vector<std::vector<int>> before;    // CharDfa::predecessors
};

/// Where an object stands: the declared keys it has, and how many others.
struct Situation {
  int object = 0;
  std::vector<bool> seen;
  uint32_t others = 0;
  std::vector<bool> allowed;  // rules whose keys may come next
  std::vector<bool> open;     // states of the key automaton from which such a key can be reached
  bool may_end = false;
};

struct MachineOptions {
  bool ordered = false;  // declared keys in the order of the schema, others behind them
  bool spaces = true;    // one space, or a line end and indentation, where JSON allows white space
};

/// A place in the text: the state of the innermost frame, and the frames around it.
struct Thread {
  int state = 0, stack = 0;
  auto operator<=>(const Thread&) const = default;
};

class Machine {
 public:
  static constexpr int kDoneState = 0;
  static constexpr int kEmpty = 0, kBase = 1;  // stacks: nothing around; what is around is not known

  explicit Machine(MachineOptions options);

  // Building. Indices are the order of calls.
  int intern(const State& state);
  int add_value(Value value);
  size_t values() const { return values_.size(); }
  Value& value(int index) { return values_[static_cast<size_t>(index)]; }
  int literal(std::string text);  // a state
  int free_string(uint32_t least, uint32_t most);
  int text(CharDfa dfa);
  int raw(CharDfa dfa);
  int number(NumberSpec spec);
  int add_array(ArraySpec spec);
  int add_object(ObjectSpec spec);
  ArraySpec& array(int index) { return arrays_[static_cast<size_t>(index)]; }
  ObjectSpec& object(int index) { return objects_[static_cast<size_t>(index)]; }
  /// Values one behind the other. All but the last must begin with a byte that is theirs alone: no sequences.
  int sequence(std::vector<int> values);
  /// UTF-8 up to the end of the first marker, which may be missing: the whole text may end before it. `dfa`
  /// accepts the texts that hold the marker.
  int until(CharDfa dfa);
  int add_dfa(CharDfa dfa);
  const CharDfa& dfa(int index) const { return dfas_[static_cast<size_t>(index)]; }
  int array_state(int index);
  int object_state(int index);

  // Running.
  /// The threads before the first byte of a value.
  std::vector<Thread> start(int value);
  /// Appends to `out` where `byte` leads from `thread`. `popped` is set when the frame on kBase has ended
  /// with it.
  void step(Thread thread, uint8_t byte, std::vector<Thread>& out, bool& popped);
  /// Whether the frame may end before the next byte (only numbers, unquoted texts and sequences can).
  bool may_end(int state) const { return ends_[static_cast<size_t>(state)] != 0; }
  /// Whether it is text before a marker, between two characters.
  bool in_text(int state) const;
  bool complete(Thread thread) const;
  /// All of it for one text.
  bool matches(int value, std::string_view text);

  static constexpr int kDead = -1, kPop = -2, kSlow = -3;
  /// The state that `byte` leads to in the same frame, or one of the three above.
  int move(int state, uint8_t byte) {
    int32_t& cell = row(state)[byte];
    return cell != kUnknown ? cell : compute(state, byte, cell);
  }
  const Situation& situation_at(int id) const { return situations_[static_cast<size_t>(id)]; }
  const State& state(int id) const { return *states_[static_cast<size_t>(id)]; }
  Thread frame(int stack) const { return stacks_[static_cast<size_t>(stack)]; }
  /// Bytes of caches, which forget() empties.
  size_t cached_bytes() const { return rows_made_ * sizeof(Row); }
  void forget();

 private:
  static constexpr int kUnknown = -4;
  using Row = std::array<int32_t, 256>;
  struct Move {
    int next = kDead;  // of this frame
    int push = kDead;  // of a frame above it
  };
  using Moves = std::vector<Move>;
  struct Hash {
    size_t operator()(const State& s) const;
  };

  Row& row(int state) {
    auto& place = rows_[static_cast<size_t>(state)];
    return place ? *place : make_row(place);
  }
  Row& make_row(std::unique_ptr<Row>& place);
  int compute(int state, uint8_t byte, int32_t& cell);
  int push(int state, int stack);
  Thread pop(int stack) const { return stacks_[static_cast<size_t>(stack)]; }
  void moves(int id, uint8_t byte, Moves& out);
  void enter(int value, uint8_t byte, int back, Moves& out);
  int space(const State& state, uint8_t byte);
  void free_moves(const State& s, uint8_t byte, Moves& out);
  void text_moves(const State& s, uint8_t byte, Moves& out);
  void raw_moves(const State& s, uint8_t byte, Moves& out);
  void number_moves(const State& s, uint8_t byte, Moves& out);
  void array_moves(const State& s, uint8_t byte, Moves& out);
  void sequence_moves(const State& s, uint8_t byte, Moves& out);
  void until_moves(const State& s, uint8_t byte, Moves& out);
  bool nullable(int value) const;
  void object_moves(const State& s, uint8_t byte, Moves& out);
  void key_moves(const State& s, uint8_t byte, Moves& out);
  bool item(const ArraySpec& spec, int32_t index, int& value) const;
  int situation(int object, std::vector<bool> seen, uint32_t others);
  void judge(Situation& out) const;

  MachineOptions options_;
  std::unordered_map<State, int, Hash> ids_;
  std::vector<const State*> states_;
  std::vector<char> ends_;
  std::vector<std::unique_ptr<Row>> rows_;
  size_t rows_made_ = 0;
  std::unordered_map<uint64_t, Moves> slow_;  // of state * 256 + byte
  std::vector<Thread> stacks_;                // the frame on top of each, and the stack below it
  std::unordered_map<uint64_t, int> stack_ids_;
  std::vector<Value> values_;
  std::vector<std::string> literals_;
  std::vector<CharDfa> dfas_;
  std::vector<NumberSpec> numbers_;
  std::vector<ArraySpec> arrays_;
  std::vector<std::vector<int>> sequences_;
  std::vector<ObjectSpec> objects_;
  std::vector<Situation> situations_;
  std::map<std::tuple<int, std::vector<bool>, uint32_t>, int> situation_ids_;
};

/// The inside of a JSON string, byte by byte: escapes with surrogates in pairs, well-formed UTF-8.
struct Free {
  static constexpr int kClean = 0, kDead = -1, kQuote = -2;
  /// The state after `byte`, kQuote at the closing quote (in kClean only), or kDead.
  static int next(int state, uint8_t byte);
  /// The same for strings without needless escapes.
  static int next_canonical(int state, uint8_t byte);
};

// Numbers keep their place in b … f.
NumberState number_state(const State& state);
State with_number(State state, const NumberState& number);

/// Whether an object's state stands in a key where a character may begin.
bool begins_in_key(const State& state);

}  // namespace bantam::runtime::grammar
