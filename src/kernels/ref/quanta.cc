// The layouts are described in tensor/blocks.h.

#include "kernels/ref/quanta.h"

#include <algorithm>

namespace bantam::kernels::ref {
namespace {

using namespace tensor;

int low(uint8_t byte) { return byte & 15; }
int high(uint8_t byte) { return byte >> 4; }

/// 32 four-bit numbers of the small types, each through `value(n, element)`.
template <class F>
void nibbles(const uint8_t (&q)[kBlock / 2], int8_t* out, F value) {
  for (size_t c = 0; c < kBlock / 2; ++c) {
    out[c] = static_cast<int8_t>(value(low(q[c]), c));
    out[c + kBlock / 2] = static_cast<int8_t>(value(high(q[c]), c + kBlock / 2));
  }
}

int fifth_bit(const uint8_t (&high)[4], size_t c) { return (high[c / 8] >> (c % 8) & 1) << 4; }

/// The small types' one scale and, where there is one, minimum: x = scale q + min.
void one_scale(uint16_t scale, uint16_t min, Quanta& out) {
  out.scale = scale;
  out.min = min;
  std::fill_n(out.scales, 2, int16_t{1});
  std::fill_n(out.mins, 2, int16_t{-1});
}

/// 256 two-bit numbers as Q2_K, Q3_K and TQ2_0 lay them out, through `value(n, element)`.
template <class F>
void two_bits(const uint8_t (&q)[2][32], int8_t* out, F value) {
  for (size_t c = 0; c < kSuperBlock; ++c) {
    out[c] = static_cast<int8_t>(value(q[c / 128][c % 32] >> (c / 32 % 4 * 2) & 3, c));
  }
}

/// The scales and minima of Q4_K and Q5_K.
void six_bit_pairs(const uint8_t (&from)[12], Quanta& out) {
  for (size_t group = 0; group < 8; ++group) {
    const size_t k = group % 4;
    const bool upper = group >= 4;
    const int scale = upper ? low(from[8 + k]) | from[k] >> 6 << 4 : from[k] & 63;
    const int min = upper ? high(from[8 + k]) | from[4 + k] >> 6 << 4 : from[4 + k] & 63;
    out.scales[2 * group] = out.scales[2 * group + 1] = static_cast<int16_t>(scale);
    out.mins[2 * group] = out.mins[2 * group + 1] = static_cast<int16_t>(min);
  }
}

/// 256 four-bit numbers as Q4_K and Q5_K lay them out.
int nibble_at(const uint8_t (&q)[4][32], size_t c) {
  const uint8_t both = q[c / 64][c % 32];
  return c % 64 < 32 ? low(both) : high(both);
}

/// Trit t of a byte of TQ1_0.
int trit(uint8_t byte, size_t t) {
  constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};
  const auto fraction = static_cast<uint8_t>(byte * kPowers[t]);
  return fraction * 3 >> 8;
}

}  // namespace

void unpack(const BlockQ4_1& block, Quanta& out) {
  one_scale(block.scale, block.min, out);
  nibbles(block.q, out.q, [](int n, size_t) { return n; });
}

void unpack(const BlockQ5_0& block, Quanta& out) {
  one_scale(block.scale, 0, out);
  nibbles(block.q, out.q, [&](int n, size_t c) { return (n | fifth_bit(block.high, c)) - 16; });
}

void unpack(const BlockQ5_1& block, Quanta& out) {
  one_scale(block.scale, block.min, out);
  nibbles(block.q, out.q, [&](int n, size_t c) { return n | fifth_bit(block.high, c); });
}

void unpack(const BlockIQ4_NL& block, Quanta& out) {
  one_scale(block.scale, 0, out);
  nibbles(block.q, out.q, [](int n, size_t) { return kIq4Values[n]; });
}

void unpack(const BlockQ2_K& block, Quanta& out) {
  out.scale = block.scale;
  out.min = block.min;
  for (size_t group = 0; group < 16; ++group) {
    out.scales[group] = static_cast<int16_t>(low(block.scales[group]));
    out.mins[group] = static_cast<int16_t>(high(block.scales[group]));
  }
  two_bits(block.q, out.q, [](int n, size_t) { return n; });
}

void unpack(const BlockQ3_K& block, Quanta& out) {
  out.scale = block.scale;
  for (size_t group = 0; group < 16; ++group) {
    const uint8_t both = block.scales[group % 8];
    const int upper = block.scales[8 + group % 4] >> (group / 4 * 2) & 3;
    out.scales[group] = static_cast<int16_t>(((group < 8 ? low(both) : high(both)) | upper << 4) - 32);
  }
  two_bits(block.q, out.q,
           [&](int n, size_t c) { return (n | (block.high[c % 32] >> (c / 32) & 1) << 2) - 4; });
}

void unpack(const BlockQ4_K& block, Quanta& out) {
  out.scale = block.scale;
  out.min = block.min;
  six_bit_pairs(block.scales, out);
  for (size_t c = 0; c < kSuperBlock; ++c) out.q[c] = static_cast<int8_t>(nibble_at(block.q, c));
}

void unpack(const BlockQ5_K& block, Quanta& out) {
  out.scale = block.scale;
  out.min = block.min;
  six_bit_pairs(block.scales, out);
  for (size_t c = 0; c < kSuperBlock; ++c) {
    out.q[c] = static_cast<int8_t>(nibble_at(block.q, c) | (block.high[c % 32] >> (c / 32) & 1) << 4);
  }
}

void unpack(const BlockQ6_K& block, Quanta& out) {
  out.scale = block.scale;
  std::copy_n(block.scales, 16, out.scales);
  for (size_t c = 0; c < kSuperBlock; ++c) {
    const size_t half = c / 128, j = c / 32 % 4, l = c % 32;
    const uint8_t both = block.q[half][j % 2 * 32 + l];
    const int upper = block.high[half][l] >> (2 * j) & 3;
    out.q[c] = static_cast<int8_t>(((j < 2 ? low(both) : high(both)) | upper << 4) - 32);
  }
}

void unpack(const BlockIQ4_XS& block, Quanta& out) {
  out.scale = block.scale;
  for (size_t group = 0; group < 8; ++group) {
    const uint8_t both = block.scales_low[group / 2];
    const int upper = block.scales_high >> (2 * group) & 3;
    const int scale = ((group % 2 == 0 ? low(both) : high(both)) | upper << 4) - 32;
    out.scales[2 * group] = out.scales[2 * group + 1] = static_cast<int16_t>(scale);
    nibbles(block.q[group], out.q + group * kBlock, [](int n, size_t) { return kIq4Values[n]; });
  }
}

void unpack(const BlockTQ1_0& block, Quanta& out) {
  out.scale = block.scale;
  std::fill_n(out.scales, 16, int16_t{1});
  for (size_t c = 0; c < kSuperBlock; ++c) {
    const int n = c < 160   ? trit(block.q[c % 32], c / 32)
                  : c < 240 ? trit(block.q[32 + c % 16], (c - 160) / 16)
                            : trit(block.high[c % 4], (c - 240) / 4);
    out.q[c] = static_cast<int8_t>(n - 1);
  }
}

void unpack(const BlockTQ2_0& block, Quanta& out) {
  out.scale = block.scale;
  std::fill_n(out.scales, 16, int16_t{1});
  two_bits(block.q, out.q, [](int n, size_t) { return n - 1; });
}

}  // namespace bantam::kernels::ref
