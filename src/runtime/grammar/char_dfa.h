#pragma once
// Deterministic automata over Unicode characters: what patterns, formats, lengths and property names become.
// Internal to runtime/grammar.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bantam::runtime::grammar {

using CodeRange = std::pair<uint32_t, uint32_t>;  // both ends belong to it
using CodeSet = std::vector<CodeRange>;           // ascending, not touching

inline constexpr uint32_t kLastCode = 0x10FFFF;
/// Sorted and joined; surrogates, which are no characters, left out.
CodeSet normalised(CodeSet set);
CodeSet complement(const CodeSet& set);
CodeSet any_character();

/// An NFA under construction: patterns and literal texts, each ending in a tag.
struct Nfa {
  struct Edge {
    int set, to;
  };
  struct State {
    std::vector<int> free;              // without reading
    std::vector<int> at_begin, at_end;  // without reading, at the text's begin or end only
    std::vector<Edge> edges;
    int tag = -1;
  };
  std::vector<State> states;
  std::vector<CodeSet> sets;
  std::vector<int> starts;

  int add();
  int add_set(CodeSet set);
  /// Exactly this text (UTF-8; broken bytes match nothing).
  void add_text(std::string_view text, int tag);
  /// What an automaton accepts.
  void add_dfa(const class CharDfa& dfa, int tag);
};

/// state x character -> state. Only states from which some end is reached are kept.
class CharDfa {
 public:
  static constexpr int kDead = -1;
  static constexpr size_t kMostStates = 20'000;

  /// Subset construction. Errors: kLimit over kMostStates.
  static Result<CharDfa> build(const Nfa& nfa);
  /// Texts of `least` to `most` characters.
  static CharDfa lengths(uint32_t least, uint32_t most);
  /// Texts that both accept; tags are lost. Errors: kLimit.
  static Result<CharDfa> intersect(const CharDfa& a, const CharDfa& b);
  /// Texts that `a` does not accept.
  static CharDfa complement_of(const CharDfa& a);

  int start() const { return start_; }  // kDead: no text at all
  size_t size() const { return accepts_.size(); }
  int next(int state, uint32_t code) const;
  /// Whether a character in [first, last] leads anywhere from `state`.
  /// (to a state of `open`, where given).
  bool any_next(int state, uint32_t first, uint32_t last, const std::vector<bool>* open = nullptr) const;
  /// Whether every character in [first, last] (surrogates apart) leads from `state` to `to`.
  bool only_next(int state, uint32_t first, uint32_t last, int to) const;
  /// The accepting state that no character leaves, or kDead.
  int sink() const;
  bool accepts(int state) const { return accepts_[static_cast<size_t>(state)] >= 0; }
  /// The tags of texts that end in `state`, ascending. REQUIRES: accepts(state).
  const std::vector<int>& tags(int state) const { return tag_sets_[accepts_[static_cast<size_t>(state)]]; }
  bool matches(std::string_view text) const;
  /// The states that each state leads to, for reachability.
  std::vector<std::vector<int>> predecessors() const;

 private:
  friend struct Nfa;
  size_t class_of(uint32_t code) const;
  int& at(int state, size_t character_class);
  void keep_live();

  std::vector<uint32_t> bounds_;  // first character of each class, ascending from 0
  std::vector<int> next_;         // [states, classes]
  std::vector<int> accepts_;      // index into tag_sets_, -1 for none
  std::vector<std::vector<int>> tag_sets_;
  int start_ = kDead;
};

}  // namespace bantam::runtime::grammar
