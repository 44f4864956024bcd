#pragma once
// Numbers as JSON writes them, one character at a time, within bounds. Internal to runtime/grammar.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam::runtime::grammar {

__extension__ using Whole = unsigned __int128;

/// A decimal number exactly: whole part at most kMostWhole, fraction without trailing zeros.
struct Decimal {
  bool negative = false;
  Whole whole = 0;
  std::string fraction;

  /// Of a number's JSON text. What is larger than kMostWhole becomes that. Errors: kUnsupported for a
  /// fraction of more than 40 digits.
  static Result<Decimal> parse(std::string_view text);
  bool zero() const { return whole == 0 && fraction.empty(); }
  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal&) const = default;
};
inline constexpr Whole kMostWhole = Whole{1'000'000'000'000'000ULL} * 1'000'000'000'000'000ULL;  // 10^30

struct NumberSpec {
  bool integer = false;  // written without fraction and exponent
  std::optional<Decimal> least, most;
  bool above = false, below = false;  // least, most themselves excluded
  uint64_t multiple = 0;              // of this integer; 0: of anything
  int digits = -1;                    // most digits of the fraction; -1: any
  bool bounded() const { return least || most || multiple > 0 || digits >= 0; }
};

/// How far a number has been written. Every state can be completed to a number of the spec.
struct NumberState {
  enum Phase : uint8_t {
    kStart,
    kMinus,
    kZero,
    kWhole,
    kPoint,
    kFraction,
    kExponent,
    kExponentSign,
    kExponentDigits
  };
  Phase phase = kStart;
  bool negative = false;
  bool at_least = true, at_most = true;  // so far equal to the digits of the nearer bound, the farther one
  uint8_t fraction = 0;                  // digits written
  Whole whole = 0;

  bool operator==(const NumberState&) const = default;
};

/// The state after one more character; nullopt where none could complete it.
std::optional<NumberState> next(const NumberSpec& spec, const NumberState& state, char c);
/// Whether what was written is a number of the spec as it stands.
bool can_end(const NumberSpec& spec, const NumberState& state);
/// Whether there is no such number.
bool empty(const NumberSpec& spec);

}  // namespace bantam::runtime::grammar
