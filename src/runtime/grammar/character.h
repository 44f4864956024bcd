#pragma once
// Bytes of one character after the other in a frame of the automaton. Internal to runtime/grammar.

#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

/// Adds `byte` to the unfinished character of `next` (its e and f). Where that completes the character,
/// `next.*place` goes from the state of `dfa` before it to the one behind it. False, with `next` undefined,
/// where no character that begins so leads on; `open`, if given, are the states that may be reached.
/// `escapes`: the text is the inside of a JSON string, in its canonical form.
bool read_byte(const CharDfa& dfa, uint8_t byte, bool escapes, State& next, int32_t State::*place,
               const std::vector<bool>* open = nullptr);

/// Whether a character may begin, or an automaton end, here.
inline bool between_characters(const State& s) { return (s.f >> 16) == 0; }

}  // namespace bantam::runtime::grammar
