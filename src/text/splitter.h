#pragma once
// Cuts text into the pieces that merges may not cross ("pre-tokens"), by the patterns that a vocabulary was
// trained with.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::text {

/// Immutable; safe to use from many threads.
class Splitter {
 public:
  /// The splitter that tokenizer.ggml.pre names. Errors: kUnsupported naming it.
  static Result<Splitter> create(std::string_view pre);
  /// One of regular expressions in the syntax of tokenizer.json (Oniguruma's, as far as PCRE2 shares it),
  /// each of which cuts further what those before it left. Errors: kUnsupported for what does not compile.
  static Result<Splitter> from_patterns(std::string name, std::span<const std::string_view> patterns);
  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;
  ~Splitter();

  const std::string& name() const { return name_; }
  /// Calls `piece` with consecutive, non-empty parts of `text` that together are all of it. Each byte that
  /// belongs to no well-formed UTF-8 sequence is a piece of its own. Errors: kInternal, from the pattern
  /// engine.
  Status split(std::string_view text, const std::function<void(std::string_view)>& piece) const;
  /// As split() with the first pattern alone, and tells what is a match and what stands between two. Text
  /// that is not UTF-8 is between.
  Status matches(std::string_view text, const std::function<void(std::string_view, bool match)>& piece) const;

 private:
  struct Pattern;
  Splitter() = default;
  Status stage(size_t index, std::string_view text, const std::function<void(std::string_view)>& piece) const;
  template <class Piece>
  Status each_match(size_t index, std::string_view text, const Piece& piece) const;
  std::string name_;
  std::vector<std::unique_ptr<Pattern>> patterns_;  // each cuts further what those before it left
};

}  // namespace bantam::text
