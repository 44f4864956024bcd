// The types with one level of scales.

#include <algorithm>
#include <iterator>

#include "kernels/fit.h"
#include "kernels/iq4_grid.h"
#include "kernels/quantize.h"
#include "tensor/half.h"

namespace bantam::kernels {
namespace {

using namespace tensor;

float inverse_of(float x) { return std::fabs(x) > 1e-30F ? 1 / x : 0.0F; }

/// Four bits of each number, laid out as in BlockQ4_0.
void put_nibbles(const int (&n)[kBlock], uint8_t (&q)[kBlock / 2]) {
  for (size_t c = 0; c < kBlock / 2; ++c)
    q[c] = static_cast<uint8_t>((n[c] & 15) | (n[c + kBlock / 2] & 15) << 4);
}

void put_fifth_bits(const int (&n)[kBlock], uint8_t (&high)[4]) {
  std::fill(std::begin(high), std::end(high), uint8_t{0});
  for (size_t c = 0; c < kBlock; ++c)
    high[c / 8] = static_cast<uint8_t>(high[c / 8] | (n[c] >> 4) << (c % 8));
}

/// scale and min (here added) of 32 values over 0 .. hi, and the numbers that fit them once rounded. The fit
/// wants a minimum that is subtracted, so the values are moved below zero first.
template <class Block>
void fit_with_min(const float* x, const float* w, float hi, Block& block, int (&n)[kBlock]) {
  const float shift = std::max(0.0F, *std::min_element(x, x + kBlock));
  float moved[kBlock], q[kBlock];
  for (size_t c = 0; c < kBlock; ++c) moved[c] = x[c] - shift;
  const Affine line = fit_affine(moved, w, kBlock, hi, q);
  block.scale = float_to_half(line.scale);
  block.min = float_to_half(shift - line.min);
  const float inverse = inverse_of(half_to_float(block.scale)), min = half_to_float(block.min);
  for (size_t c = 0; c < kBlock; ++c) n[c] = static_cast<int>(round_to((x[c] - min) * inverse, 0, hi));
}

/// The scale of ternary values. Most weights of a bell-shaped block are small: the best scale may be far
/// below the largest value.
float fit_ternary(const float* x, const float* w, float* q, uint16_t& scale) {
  const float found = std::fabs(fit_scale(Line{-1, 1}, x, w, kSuperBlock, -0.5F, 4.0F, q));
  scale = float_to_half(found);
  return inverse_of(half_to_float(scale));
}

int ternary(float x, float inverse) { return static_cast<int>(round_to(x * inverse, -1, 1)) + 1; }

}  // namespace

void quantize(const float* x, const float* w, BlockQ4_1& block) {
  int n[kBlock];
  fit_with_min(x, w, 15, block, n);
  put_nibbles(n, block.q);
}

void quantize(const float* x, const float* w, BlockQ5_1& block) {
  int n[kBlock];
  fit_with_min(x, w, 31, block, n);
  put_nibbles(n, block.q);
  put_fifth_bits(n, block.high);
}

void quantize(const float* x, const float* w, BlockQ5_0& block) {
  float q[kBlock];
  int n[kBlock];
  block.scale = float_to_half(fit_scale(Line{-16, 15}, x, w, kBlock, -1.5F, 0.9F, q));
  const float inverse = inverse_of(half_to_float(block.scale));
  for (size_t c = 0; c < kBlock; ++c) n[c] = static_cast<int>(round_to(x[c] * inverse, -16, 15)) + 16;
  put_nibbles(n, block.q);
  put_fifth_bits(n, block.high);
}

void quantize(const float* x, const float* w, BlockIQ4_NL& block) {
  float q[kBlock];
  int n[kBlock];
  block.scale = float_to_half(fit_scale(Iq4Grid{}, x, w, kBlock, -40, 20, q));
  const float inverse = inverse_of(half_to_float(block.scale));
  for (size_t c = 0; c < kBlock; ++c) n[c] = Iq4Grid::index(x[c] * inverse);
  put_nibbles(n, block.q);
}

void quantize(const float* x, const float* w, BlockTQ2_0& block) {
  float q[kSuperBlock];
  const float inverse = fit_ternary(x, w, q, block.scale);
  for (size_t c = 0; c < 64; ++c) {
    int byte = 0;
    for (size_t j = 0; j < 4; ++j) byte |= ternary(x[c / 32 * 128 + 32 * j + c % 32], inverse) << (2 * j);
    block.q[c / 32][c % 32] = static_cast<uint8_t>(byte);
  }
}

void quantize(const float* x, const float* w, BlockTQ1_0& block) {
  float q[kSuperBlock];
  const float inverse = fit_ternary(x, w, q, block.scale);
  // The trits of `count` elements `apart` from each other as a number below 3^5, then as a fraction of 256,
  // rounded up so that every trit comes out again.
  const auto byte_of = [&](const float* first, size_t count, size_t apart) {
    int number = 0;
    for (size_t t = 0; t < 5; ++t) number = number * 3 + (t < count ? ternary(first[t * apart], inverse) : 0);
    return static_cast<uint8_t>((number * 256 + 242) / 243);
  };
  for (size_t c = 0; c < 32; ++c) block.q[c] = byte_of(x + c, 5, 32);
  for (size_t c = 0; c < 16; ++c) block.q[32 + c] = byte_of(x + 160 + c, 5, 16);
  for (size_t c = 0; c < 4; ++c) block.high[c] = byte_of(x + 240 + c, 4, 4);
}

}  // namespace bantam::kernels
