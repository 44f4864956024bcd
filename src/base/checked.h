#pragma once
// Arithmetic on sizes that came from a file: overflow is a value, never a wrap.

#include <concepts>
#include <cstdint>
#include <optional>

namespace bantam {

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T out;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T out;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

/// The smallest multiple of `unit` (a power of two) that is at least `n`; nullopt on overflow.
constexpr std::optional<uint64_t> checked_align(uint64_t n, uint64_t unit) {
  auto sum = checked_add<uint64_t>(n, unit - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(unit - 1);
}

}  // namespace bantam
