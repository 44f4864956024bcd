#pragma once
// SentencePiece's precompiled character map: prefixes of a text and what they normalise to, as a double array
// (Kanda 2018) and the replacements behind it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bantam::text {

class CharsMap {
 public:
  /// Little-endian: u32 size of the array in bytes, the array, replacements that end in NUL. Errors:
  /// kCorrupt.
  static Result<CharsMap> parse(std::string_view blob);
  /// The text with the longest prefixes that the map has replaced, from left to right; broken UTF-8 as
  /// U+FFFD.
  std::string normalized(std::string_view text) const;

 private:
  std::optional<std::pair<size_t, std::string_view>> longest(std::string_view text) const;
  std::vector<uint32_t> units_;
  std::string replacements_;  // ends in NUL
};

}  // namespace bantam::text
