#pragma once
// Patterns as JSON Schema has them: the regular part of ECMA-262's syntax. Internal to runtime/grammar.

#include <string_view>

#include "runtime/grammar/char_dfa.h"

namespace bantam::runtime::grammar {

/// Adds a pattern to an NFA: literals, ".", classes, \d \D \w \W \s \S, escapes (\n, \t, \xHH, \uHHHH,
/// \u{H…}, \cX, punctuation), groups (plain, named, ?:), alternation, * + ? {n} {n,} {n,m} (lazy forms accept
/// the same texts), ^ and
/// $. Without `whole` it may match anywhere in the text, as JSON Schema says; with it, the whole text.
/// Errors: kUnsupported naming what it found (look-around, back references, \b, \p{…}); kInvalidArgument for
/// a broken pattern; kLimit for nesting over 100 or 100,000 states.
Status add_pattern(std::string_view pattern, bool whole, int tag, Nfa& nfa);

/// The texts that a pattern accepts. Errors: those above; kLimit over CharDfa::kMostStates.
Result<CharDfa> pattern_dfa(std::string_view pattern, bool whole = false);

/// The pattern of a "format" (date-time, date, time, duration, email, hostname, ipv4, ipv6, uri,
/// uri-reference, uuid, json-pointer, …), to be matched whole; empty for an unknown one.
std::string_view format_pattern(std::string_view format);

}  // namespace bantam::runtime::grammar
