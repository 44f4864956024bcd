#pragma once
// The language of recipes/helpdesk/tickets.grammar: a weighted grammar whose sentences are labelled tickets.
//
// Lines that are blank or begin with '#' are skipped. A line that starts in the first column is a directive;
// an indented line is one alternative of the rule opened last.
//   rule NAME              opens a rule that any alternative may use as {NAME}
//   intent NAME            opens an intent: the label of the examples made for it. Then, for that intent:
//     .share NUMBER        how many examples it gets relative to the others (1 when absent)
//     .near NAME...        the intents it is easily confused with: preferred as the second intent of an
//     example .FORM                opens a form, for example .do, a rule that frames use as {A.FORM} or
//     {B.FORM}
//   frame NAME WEIGHT      opens a frame: a whole example about the intent A, its label, and another intent
//   B, a distractor set NAME NUMBER        a setting; see Settings keep WORD...           words that noise
//   never touches, because the label hangs on them abbrev WORD SHORT...   ways to shorten a word
// In an alternative:
//   3* text                weight 3 instead of 1
//   {NAME} {A.FORM}        expands a rule, or a form of intent A or B
//   {x=NAME}               expands a rule and remembers the result; {$x} repeats it. Two variables drawn from
//   one rule differ. {x:=text}              remembers the text, in which @NAME expands a rule and $y a
//   variable, and prints nothing
//                          A variable lives within one form, or in the frame around the forms.
//   [text] [30: one|two]   optional: half the time, or 30 % of the time
//   (one|two|three)        a choice; () prints nothing
//   \c                     the character c itself; \n is a line end
// Space is folded, the space before punctuation removed and every sentence given a capital afterwards.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"

namespace bantam::tools {

struct Sequence;

/// One alternative: its weight and what it prints.
struct Alternative {
  double weight = 1.0;
  size_t line = 0;
  std::vector<Sequence> parts;
};

/// A part of an alternative.
struct Sequence {
  enum class Kind { kText, kRule, kForm, kRemember, kSet, kVariable, kChoice };
  Kind kind = Kind::kText;
  std::string text;  // kText: the text; kRule, kRemember: the rule; kForm: the form
  std::string name;  // kRemember, kSet, kVariable: the variable; kForm: "A" or "B"
  std::vector<Alternative>
      choices;  // kChoice: an optional part is a choice of itself and nothing; kSet: the one value
};

struct Rule {
  std::string name;
  size_t line = 0;
  std::vector<Alternative> alternatives;
};

struct Intent {
  std::string name;
  size_t line = 0;
  double share = 1.0;
  std::vector<std::string> near_names;
  std::vector<size_t> near;  // the same, as indices
  std::map<std::string, Rule> forms;
};

struct Frame {
  double weight = 1.0;
  Rule rule;
};

/// Shares are between 0 and 1; what the file does not set is 0 (near_duplicate: 1, which removes only equal
/// texts).
struct Settings {
  double near = 0;        // how often B comes from the .near list of A
  double typo = 0;        // examples with one or two slips of the keyboard
  double lower = 0;       // examples without capitals
  double upper = 0;       // examples in capitals
  double apostrophe = 0;  // examples without apostrophes
  double abbreviate = 0;  // examples with abbreviations
  double run_on = 0;      // examples whose sentences run into each other
  double bare = 0;        // examples without commas and final stop
  double near_duplicate =
      1;  // word-trigram overlap (Jaccard) from which a second example of an intent is dropped
};

struct Grammar {
  std::string source;  // the name used in messages
  std::map<std::string, Rule> rules;
  std::vector<Intent> intents;
  std::vector<Frame> frames;
  Settings settings;
  std::set<std::string> keep;
  std::map<std::string, std::vector<std::string>> abbreviations;
};

/// Parses and checks a grammar. Errors: kCorrupt, beginning with "source:line: "; besides what is malformed,
/// these are errors: names that are not defined, rules that nothing uses, a rule that contains itself,
/// variables that nothing sets, intents that no frame can express.
Result<Grammar> parse_grammar(std::string_view text, std::string_view source);

/// Whether `alternative`, of a frame, uses no form that intent A lacks.
bool usable(const Alternative& alternative, const Intent& a);

/// An example as the grammar makes it, before any noise.
struct Ticket {
  std::string text;
  size_t intent = 0;
  size_t frame = 0;
  size_t line = 0;  // of the frame's alternative
};

/// One example of `intent`. Errors: kInvalidArgument for a variable that is used where it was not set.
Result<Ticket> draw_ticket(const Grammar& grammar, size_t intent, Rng& rng);

}  // namespace bantam::tools
