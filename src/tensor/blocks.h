#pragma once
// How the bytes of a quantised row are laid out: the blocks of a GGUF file. The layouts are those that ggml
// defines (https://github.com/ggml-org/ggml, ggml-common.h; k-quants: llama.cpp pull request 1684; ternary:
// 8151); what the fields mean is said here and, as arithmetic, in kernels/ref/quanta.cc. Every "scale" that
// is a uint16_t is IEEE binary16. A block needs no alignment: rows of a mapped file may begin anywhere.

#include <cstddef>
#include <cstdint>

namespace bantam::tensor {

/// Elements in one block of a quantised row, and in one of the super-blocks of the types that have two levels
/// of scales.
inline constexpr size_t kBlock = 32, kSuperBlock = 256;

/// 32 elements as x[i] = scale * q[i].
struct BlockQ8_0 {
  uint16_t scale;
  int8_t q[kBlock];
};
static_assert(sizeof(BlockQ8_0) == 34 && alignof(BlockQ8_0) == 2);

/// 32 elements as x[i] = scale * (n[i] - 8), n in 0..15. q[i] holds n[i] in its low half and n[i + 16] in its
/// high half.
struct BlockQ4_0 {
  uint16_t scale;
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockQ4_0) == 18 && alignof(BlockQ4_0) == 2);

/// x[i] = scale * n[i] + min; n as in BlockQ4_0.
struct BlockQ4_1 {
  uint16_t scale, min;
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockQ4_1) == 20);

/// x[i] = scale * (n[i] - 16), n in 0..31: the low four bits as in BlockQ4_0, the fifth is bit i of `high`
/// (little-endian).
struct BlockQ5_0 {
  uint16_t scale;
  uint8_t high[4];
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockQ5_0) == 22);

/// x[i] = scale * n[i] + min; n as in BlockQ5_0.
struct BlockQ5_1 {
  uint16_t scale, min;
  uint8_t high[4];
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockQ5_1) == 24);

/// x[i] = scale * kIq4Values[n[i]]; n as in BlockQ4_0.
struct BlockIQ4_NL {
  uint16_t scale;
  uint8_t q[kBlock / 2];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

/// The values of the non-linear 4-bit types, denser about zero, as bell-shaped weights are.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

/// 16 groups of 16: x = scale * (s & 15) * n - min * (s >> 4), s = scales[group], n in 0..3. Byte l of q[h]
/// holds element 128 h + 32 j + l in bits 2 j and 2 j + 1.
struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t q[2][32];
  uint16_t scale, min;
};
static_assert(sizeof(BlockQ2_K) == 84);

/// 16 groups of 16: x = scale * (s - 32) * (n - 4), n in 0..7. The low two bits of n as in BlockQ2_K; the
/// third of element 32 j + l is bit j of high[l]. The 16 s have six bits: the low four in the low (groups 0
/// to 7) and high halves (8 to 15) of scales[0..7], the upper two of group 4 k + b in bits 2 k of scales[8 +
/// b].
struct BlockQ3_K {
  uint8_t high[32];
  uint8_t q[2][32];
  uint8_t scales[12];
  uint16_t scale;
};
static_assert(sizeof(BlockQ3_K) == 110);

/// 8 groups of 32: x = scale * s * n - min * m, n in 0..15, s and m of six bits. q[j][l] holds elements 64 j
/// + l and 64 j + 32 + l. scales: s of groups 0 to 3 are the low six bits of bytes 0 to 3, m those of bytes 4
/// to 7; s of group 4 + k has its low four bits in the low half of byte 8 + k and its upper two atop byte k;
/// m of it in the high half of byte 8 + k and atop byte 4 + k.
struct BlockQ4_K {
  uint16_t scale, min;
  uint8_t scales[12];
  uint8_t q[4][32];
};
static_assert(sizeof(BlockQ4_K) == 144);

/// As BlockQ4_K with n in 0..31: the fifth bit of element 32 j + l is bit j of high[l].
struct BlockQ5_K {
  uint16_t scale, min;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t q[4][32];
};
static_assert(sizeof(BlockQ5_K) == 176);

/// 16 groups of 16: x = scale * scales[group] * (n - 32), n in 0..63. Within half h (128 elements), element
/// 32 j + l has its low four bits in the low (j < 2) or high half of q[h][32 (j % 2) + l] and its upper two
/// in bits 2 j of high[h][l].
struct BlockQ6_K {
  uint8_t q[2][64];
  uint8_t high[2][32];
  int8_t scales[16];
  uint16_t scale;
};
static_assert(sizeof(BlockQ6_K) == 210);

/// 8 groups of 32: x = scale * (s - 32) * kIq4Values[n], q[group] as BlockQ4_0's. The low four bits of s in
/// scales_low (two groups a byte), the upper two in bits 2 * group of scales_high.
struct BlockIQ4_XS {
  uint16_t scale;
  uint16_t scales_high;
  uint8_t scales_low[4];
  uint8_t q[8][16];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

/// x = scale * (n - 1), n in 0..2. A byte b holds five trits as a fraction of 256: trit t is the integer part
/// of 3 * frac(b * 3^t / 256). Elements 0 to 159 are the trits 0 to 4 of q[0..31], 160 to 239 those of
/// q[32..47], 240 to 255 trits 0 to 3 of high.
struct BlockTQ1_0 {
  uint8_t q[48];
  uint8_t high[4];
  uint16_t scale;
};
static_assert(sizeof(BlockTQ1_0) == 54);

/// x = scale * (n - 1), n in 0..2 laid out as in BlockQ2_K.
struct BlockTQ2_0 {
  uint8_t q[2][32];
  uint16_t scale;
};
static_assert(sizeof(BlockTQ2_0) == 66);

}  // namespace bantam::tensor
