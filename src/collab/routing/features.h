#pragma once
// What a router reads from a request: hashed n-grams and lexical figures. About a tenth of a millisecond for
// 500 tokens.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "collab/routing/example.h"

namespace bantam::collab::routing {

/// An n-gram's hash and how often it occurs.
struct Hit {
  uint32_t hash = 0;
  float count = 0;
};

inline constexpr size_t kLexical = 32;

/// Hits are ascending by hash and unique.
struct Features {
  std::vector<Hit> words;    // 1- and 2-grams of words
  std::vector<Hit> letters;  // 3- to 5-grams of bytes within words, with a space at both ends
  std::array<float, kLexical>
      lexical{};  // lengths, digits, formulas, code, languages' scripts, declared needs
};

/// Words are runs of ASCII letters and digits, lower-cased, or of bytes of other scripts. Never fails: any
/// bytes will do.
Features extract(const Query& query);

}  // namespace bantam::collab::routing
