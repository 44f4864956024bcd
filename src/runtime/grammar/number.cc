#include "runtime/grammar/number.h"

#include <algorithm>
#include <charconv>

namespace bantam::runtime::grammar {
namespace {

using Phase = NumberState::Phase;

/// Distances from zero that numbers of one sign may have.
struct Side {
  bool none = false;
  Decimal near, far;
  bool far_infinite = true;
  bool above = false, below = false;  // near, far themselves excluded
};

Side side_of(const NumberSpec& spec, bool negative) {
  Side out;
  const auto& near = negative ? spec.most : spec.least;
  const auto& far = negative ? spec.least : spec.most;
  if (near && (near->negative == negative || near->zero())) {
    out.near = *near;
    out.above = negative ? spec.below : spec.above;
  }
  if (far) {
    out.far_infinite = false;
    out.far = *far;
    out.below = negative ? spec.above : spec.below;
    if (far->negative != negative && !far->zero()) out.none = true;
    if (far->zero() && out.below) out.none = true;
  }
  out.near.negative = out.far.negative = false;
  if (!out.none && !out.far_infinite) {
    const auto order = out.near <=> out.far;
    out.none = order > 0 || (order == 0 && (out.above || out.below));
  }
  return out;
}

/// Whether a whole number of [first, last] (at most that of `side`) fits, with a fraction where one is
/// allowed.
bool fits(const NumberSpec& spec, const Side& side, Whole first, Whole last) {
  Whole least = side.near.whole;
  if (spec.integer && (!side.near.fraction.empty() || side.above)) least += 1;
  first = std::max(first, least);
  if (!side.far_infinite) {
    Whole most = side.far.whole;
    if (side.below && side.far.fraction.empty()) {
      if (most == 0) return false;
      most -= 1;
    }
    last = std::min(last, most);
  }
  if (first > last) return false;
  if (spec.multiple == 0) return true;
  return last / spec.multiple * spec.multiple >= first;
}

/// Whether digits can be appended to `whole` so that it fits.
bool extends(const NumberSpec& spec, const Side& side, Whole whole) {
  if (side.none) return false;
  Whole first = whole, last = whole;
  while (true) {
    if (fits(spec, side, first, last)) return true;
    if (whole == 0 || first > kMostWhole / 10) return false;
    if (!side.far_infinite && first > side.far.whole) return false;
    first *= 10;
    last = last * 10 + 9;
  }
}

char digit_at(const Decimal& bound, size_t place) {
  return place < bound.fraction.size() ? bound.fraction[place] : '0';
}

/// Whether all digits of the bound's fraction from `place` on are zeros.
bool spent(const Decimal& bound, size_t place) { return place >= bound.fraction.size(); }

/// Whether the fraction written so far can be continued (or ended) within both bounds.
bool fraction_fits(const NumberSpec& spec, const Side& side, const NumberState& s) {
  if (s.at_most && side.below && spent(side.far, s.fraction)) return false;
  const bool full = spec.digits >= 0 && s.fraction >= spec.digits;
  if (full && s.at_least && (!spent(side.near, s.fraction) || side.above)) return false;
  if (s.at_least && s.at_most && side.above && spent(side.far, s.fraction)) return false;
  return true;
}

std::optional<NumberState> fraction_digit(const NumberSpec& spec, const Side& side, NumberState s, char c) {
  constexpr int kMostDigits = 60;  // of a bounded number's fraction
  if (s.fraction >= (spec.digits >= 0 ? spec.digits : kMostDigits)) return std::nullopt;
  if (s.at_least) {
    const char bound = digit_at(side.near, s.fraction);
    if (c < bound) return std::nullopt;
    s.at_least = c == bound;
  }
  if (s.at_most) {
    const char bound = digit_at(side.far, s.fraction);
    if (c > bound) return std::nullopt;
    s.at_most = c == bound;
  }
  ++s.fraction;
  s.phase = Phase::kFraction;
  return fraction_fits(spec, side, s) ? std::optional(s) : std::nullopt;
}

std::optional<NumberState> point(const NumberSpec& spec, const Side& side, NumberState s) {
  if (spec.integer || spec.digits == 0 || spec.multiple > 0) return std::nullopt;
  s.at_least = s.whole == side.near.whole;
  s.at_most = !side.far_infinite && s.whole == side.far.whole;
  if (s.whole < side.near.whole || (!side.far_infinite && s.whole > side.far.whole)) return std::nullopt;
  s.phase = Phase::kPoint;
  return fraction_fits(spec, side, s) ? std::optional(s) : std::nullopt;
}

std::optional<NumberState> bounded_next(const NumberSpec& spec, NumberState s, char c) {
  const bool digit = c >= '0' && c <= '9';
  if (s.phase == Phase::kStart && c == '-') {
    s.negative = true;
    s.phase = Phase::kMinus;
    for (char d : std::string_view("0123456789")) {
      if (bounded_next(spec, s, d)) return s;
    }
    return std::nullopt;
  }
  const Side side = side_of(spec, s.negative);
  if (c == '.' && (s.phase == Phase::kZero || s.phase == Phase::kWhole)) return point(spec, side, s);
  if (!digit) return std::nullopt;
  switch (s.phase) {
    case Phase::kStart:
    case Phase::kMinus:
    case Phase::kWhole:
      if (s.whole > kMostWhole / 10) return std::nullopt;
      s.whole = s.whole * 10 + static_cast<Whole>(c - '0');
      s.phase = s.whole == 0 ? Phase::kZero : Phase::kWhole;
      return extends(spec, side, s.whole) ? std::optional(s) : std::nullopt;
    case Phase::kPoint:
    case Phase::kFraction:
      return fraction_digit(spec, side, s, c);
    default:
      return std::nullopt;
  }
}

std::optional<NumberState> free_next(const NumberSpec& spec, NumberState s, char c) {
  const auto go = [&s](Phase phase) {
    s.phase = phase;
    return std::optional(s);
  };
  const bool digit = c >= '0' && c <= '9', after_digits = s.phase == Phase::kZero || s.phase == Phase::kWhole;
  if (c == '-' && s.phase == Phase::kStart) return go(Phase::kMinus);
  if ((c == '-' || c == '+') && s.phase == Phase::kExponent) return go(Phase::kExponentSign);
  if (c == '.' && after_digits && !spec.integer) return go(Phase::kPoint);
  if ((c == 'e' || c == 'E') && (after_digits || s.phase == Phase::kFraction) && !spec.integer) {
    return go(Phase::kExponent);
  }
  if (!digit) return std::nullopt;
  switch (s.phase) {
    case Phase::kStart:
    case Phase::kMinus:
      return go(c == '0' ? Phase::kZero : Phase::kWhole);
    case Phase::kZero:
      return std::nullopt;
    case Phase::kWhole:
      return go(Phase::kWhole);
    case Phase::kPoint:
    case Phase::kFraction:
      return go(Phase::kFraction);
    default:
      return go(Phase::kExponentDigits);
  }
}

}  // namespace

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  const bool minus = negative && !zero(), other_minus = other.negative && !other.zero();
  if (minus != other_minus) return minus ? std::strong_ordering::less : std::strong_ordering::greater;
  auto order = whole <=> other.whole;
  if (order == 0) order = fraction <=> other.fraction;  // no trailing zeros: as texts
  return minus ? 0 <=> order : order;
}

Result<Decimal> Decimal::parse(std::string_view text) {
  constexpr size_t kMostFraction = 40;
  Decimal out;
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  const size_t e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    exponent = std::clamp(exponent, -1000, 1000);
    text = text.substr(0, e);
  }
  const size_t dot = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, dot));
  if (dot < text.size()) digits += text.substr(dot + 1);
  const int place = static_cast<int>(dot) + exponent;  // of the decimal point among the digits
  if (place < 0) digits.insert(0, static_cast<size_t>(-place), '0');
  const size_t whole = static_cast<size_t>(std::max(place, 0));
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  for (size_t i = 0; i < whole; ++i) {
    out.whole = std::min(kMostWhole, out.whole * 10 + static_cast<Whole>(digits[i] - '0'));
  }
  out.fraction = digits.substr(whole);
  while (out.fraction.ends_with('0')) out.fraction.pop_back();
  if (out.whole == kMostWhole) out.fraction.clear();
  if (out.fraction.size() > kMostFraction) {
    return fail(Code::kUnsupported, "number {}: found a fraction of {} digits, expected at most {}", text,
                out.fraction.size(), kMostFraction);
  }
  return out;
}

std::optional<NumberState> next(const NumberSpec& spec, const NumberState& state, char c) {
  return spec.bounded() ? bounded_next(spec, state, c) : free_next(spec, state, c);
}

bool can_end(const NumberSpec& spec, const NumberState& s) {
  const bool whole = s.phase == Phase::kZero || s.phase == Phase::kWhole;
  if (!spec.bounded()) return whole || s.phase == Phase::kFraction || s.phase == Phase::kExponentDigits;
  const Side side = side_of(spec, s.negative);
  if (whole) {
    if (!fits(spec, side, s.whole, s.whole)) return false;
    if (s.whole == side.near.whole && (!side.near.fraction.empty() || side.above)) return false;
    return side.far_infinite || s.whole < side.far.whole || !side.far.fraction.empty() || !side.below;
  }
  if (s.phase != Phase::kFraction) return false;
  if (s.at_least && (!spent(side.near, s.fraction) || side.above)) return false;
  return !(s.at_most && side.below && spent(side.far, s.fraction));
}

bool empty(const NumberSpec& spec) {
  if (!spec.bounded()) return false;
  for (char c : std::string_view("-0123456789")) {
    const auto state = next(spec, {}, c);
    if (!state) continue;
    if (c != '-') return false;
    for (char d : std::string_view("0123456789")) {
      if (next(spec, *state, d)) return false;
    }
  }
  return true;
}

}  // namespace bantam::runtime::grammar
