#pragma once
// Conversions between binary16 (IEEE 754-2008), bfloat16 and binary32 without hardware support, exact in
// every bit.

#include <bit>
#include <cstdint>

namespace bantam::tensor {

/// Exact; infinities and NaN stay what they are (a NaN keeps its payload's upper bits and becomes quiet).
constexpr float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fU;
  uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0x1f) {
    return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13) | (mantissa != 0 ? 0x400000U : 0U));
  }
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Subnormal: mantissa * 2^-24, which binary32 represents as a normal number.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return sign != 0 ? -magnitude : magnitude;
}

/// Rounds to nearest, ties to even; overflow gives infinity, NaN stays NaN (quiet).
constexpr uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU));
  if (magnitude >= 0x47800000U) return static_cast<uint16_t>(sign | 0x7c00U);  // 2^16 and above
  if (magnitude < 0x33000000U) return sign;                                    // below half of the smallest
  const auto exponent = static_cast<int32_t>(magnitude >> 23) - 127;
  uint32_t mantissa = (magnitude & 0x7fffffU) | 0x800000U;
  // Bits to drop: 13 for a normal result, more for a subnormal one (exponent below -14).
  const uint32_t drop = exponent >= -14 ? 13U : static_cast<uint32_t>(-1 - exponent);
  const uint32_t rest = mantissa & ((1U << drop) - 1), half = 1U << (drop - 1);
  mantissa >>= drop;
  if (rest > half || (rest == half && (mantissa & 1U) != 0)) ++mantissa;
  // For a normal result the leading 1 adds itself to the exponent field, as does a carry out of the mantissa.
  const uint32_t base = exponent >= -14 ? static_cast<uint32_t>(exponent + 14) << 10 : 0U;
  return static_cast<uint16_t>(sign | (base + mantissa));
}

/// bfloat16: the upper half of a binary32. Exact.
constexpr float bfloat_to_float(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }

/// Rounds to nearest, ties to even; NaN stays NaN (quiet).
constexpr uint16_t float_to_bfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>(bits >> 16 | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace bantam::tensor
