#pragma once
// Constrained generation: which tokens may come next so that the whole text is JSON of a schema, a match of a
// pattern, one of several texts, or calls functions as it may.

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/call_form.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

namespace grammar {
class Vocabulary;
}

struct GrammarOptions {
  /// Declared properties come in the order of the schema and others behind them; else in any order.
  bool ordered = true;
  /// One space, or a line end and up to 40 characters of indentation, may stand where JSON allows white
  /// space; else none.
  bool spaces = true;
};

/// Which calls of functions an answer may hold, and in which form.
struct CallRules {
  text::CallForm form;
  struct Function {
    std::string name, arguments;  // a JSON schema, of objects
  };
  std::vector<Function> functions;
  bool several = true;      // more than one call, where the form has a place for them
  bool required = false;    // nothing but calls; else any text before them, or instead of them
  std::string text_schema;  // where a call is not required: what an answer without one must be JSON of
};

/// A schema, pattern or list of texts, made ready for a vocabulary. Safe to use from many threads, which take
/// turns; what one sequence finds out about allowed tokens serves the others.
class Grammar {
 public:
  ~Grammar();

  /// JSON that a schema of drafts 4 to 2020-12 accepts. Nothing else can be generated. Of what it accepts not
  /// all can be: strings under a pattern, and keys, are written without needless escapes, bounded numbers and
  /// integers without exponent, object keys once. "format" is asserted where JSON Schema defines it. Errors:
  /// kInvalidArgument for what is no schema or accepts nothing; kUnsupported naming a keyword (contains,
  /// uniqueItems, unevaluatedItems, …), pattern or format that is not implemented; kLimit.
  static Result<std::shared_ptr<const Grammar>> json_schema(
      std::string_view schema, std::shared_ptr<const grammar::Vocabulary> vocabulary,
      GrammarOptions options = {});
  /// Any JSON object.
  static Result<std::shared_ptr<const Grammar>> json_object(
      std::shared_ptr<const grammar::Vocabulary> vocabulary);
  /// Texts that match a pattern of ECMA-262 as a whole. Errors: as json_schema.
  static Result<std::shared_ptr<const Grammar>> pattern(
      std::string_view pattern, std::shared_ptr<const grammar::Vocabulary> vocabulary);
  /// One of several texts. Errors: kInvalidArgument for none, or one that is not UTF-8.
  static Result<std::shared_ptr<const Grammar>> choices(
      std::span<const std::string> texts, std::shared_ptr<const grammar::Vocabulary> vocabulary);

  /// Calls, or text, by rules. Control tokens without a place in the vocabulary stay allowed where any text
  /// is. Errors: kInvalidArgument for no functions; those of json_schema, opened by the function's name.
  static Result<std::shared_ptr<const Grammar>> calls(const CallRules& rules,
                                                      std::shared_ptr<const grammar::Vocabulary> vocabulary);

  /// What of the schema had no effect.
  const std::vector<std::string>& notes() const;

  struct Impl;

 private:
  friend class GrammarState;
  explicit Grammar(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// How far one sequence has come in a grammar. As long as only allowed tokens are taken, the text can be
/// completed.
class GrammarState {
 public:
  explicit GrammarState(std::shared_ptr<const Grammar> grammar);
  GrammarState(const GrammarState&);
  GrammarState& operator=(const GrammarState&);
  GrammarState(GrammarState&&) noexcept;
  GrammarState& operator=(GrammarState&&) noexcept;
  ~GrammarState();

  /// Sampler's mask: end tokens are allowed where the text may end. Copied to `out`, [V / 64, rounded up].
  void mask(std::vector<uint64_t>& out) const;
  /// Takes a token. False, and nothing changed, where it is not allowed.
  bool accept(text::TokenId token);
  /// Takes bytes, whatever tokens they came from.
  bool accept_bytes(std::string_view bytes);
  /// The text may end here.
  bool may_end() const;
  /// The text must end here.
  bool must_end() const;
  /// The bytes that a token adds to the text.
  std::string_view piece(text::TokenId token) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bantam::runtime
