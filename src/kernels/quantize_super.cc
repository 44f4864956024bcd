// The types with two levels of scales. Groups are fitted one by one; their scales are rounded to the format's
// integers; then, in turns, each group's integers are moved by one where that helps, and the two floats of
// the super-block are set to their least-squares values.

#include <algorithm>
#include <array>

#include "kernels/fit.h"
#include "kernels/iq4_grid.h"
#include "kernels/quantize.h"
#include "tensor/half.h"

namespace bantam::kernels {
namespace {

using namespace tensor;

constexpr int kRounds = 2;
constexpr size_t kMostGroups = 16;

struct Super {
  uint16_t scale = 0, min = 0;
  std::array<int, kMostGroups> scales{}, mins{};
  std::array<float, kSuperBlock> q{};  // values of the grid
};

float inverse_of(float x) { return std::fabs(x) > 1e-30F ? 1 / x : 0.0F; }

/// One group's numbers for a given line, and their error.
template <class Grid>
float round_group(const Grid& grid, const float* x, const float* w, size_t n, float scale, float min,
                  float* q) {
  const float inverse = inverse_of(scale);
  float error = 0;
  for (size_t i = 0; i < n; ++i) {
    q[i] = grid.nearest((x[i] + min) * inverse);
    const float d = x[i] - (scale * q[i] - min);
    error += w[i] * d * d;
  }
  return error;
}

/// Sets scale and min to what fits the integers best: the 2 x 2 normal equations over the super-block.
void refit(const float* x, const float* w, size_t group, bool with_min, Super& s) {
  double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;  // x ~ scale * a - min * b
  for (size_t i = 0; i < kSuperBlock; ++i) {
    const double a = s.scales[i / group] * static_cast<double>(s.q[i]), b = s.mins[i / group];
    aa += w[i] * a * a;
    ab += w[i] * a * b;
    bb += w[i] * b * b;
    xa += w[i] * x[i] * a;
    xb += w[i] * x[i] * b;
  }
  const double determinant = aa * bb - ab * ab;
  if (with_min && determinant > 1e-12 * aa * bb) {
    const double scale = (xa * bb - xb * ab) / determinant, min = (xa * ab - xb * aa) / determinant;
    if (!(scale > 0 && min > 0)) return;
    s.scale = float_to_half(static_cast<float>(scale));
    s.min = float_to_half(static_cast<float>(min));
  } else if (aa > 0 && !with_min) {
    s.scale = float_to_half(static_cast<float>(xa / aa));
  }
}

/// The integers next to those there are, by the error of the numbers they lead to.
template <class Grid>
double move_group(const Grid& grid, const float* x, const float* w, size_t n, size_t g, int least, int most,
                  bool with_min, Super& s) {
  const float scale = half_to_float(s.scale), min = half_to_float(s.min);
  float trial[kSuperBlock], best = INFINITY;
  const int scale_before = s.scales[g], min_before = s.mins[g];
  for (int ds = -1; ds <= 1; ++ds) {
    for (int dm = with_min ? -1 : 0; dm <= (with_min ? 1 : 0); ++dm) {
      const int a = scale_before + ds, b = min_before + dm;
      if (a < least || a > most || b < 0 || b > most) continue;
      const float error = round_group(grid, x + g * n, w + g * n, n, scale * static_cast<float>(a),
                                      min * static_cast<float>(b), trial);
      if (!(error < best)) continue;
      best = error;
      s.scales[g] = a;
      s.mins[g] = b;
      std::copy_n(trial, n, s.q.data() + g * n);
    }
  }
  return best;
}

/// The super-block whose groups of n have integers least .. most (minima 0 .. most), from the rounded ones in
/// `s`. The best of all turns is kept.
template <class Grid>
Super improve(const Grid& grid, const float* x, const float* w, size_t n, int least, int most, bool with_min,
              Super s) {
  Super best = s;
  double best_error = INFINITY;
  for (int round = 0; round <= kRounds; ++round) {
    if (round > 0) refit(x, w, n, with_min, s);
    double error = 0;
    for (size_t g = 0; g < kSuperBlock / n; ++g)
      error += move_group(grid, x, w, n, g, least, most, with_min, s);
    if (!(error < best_error)) break;
    best_error = error;
    best = s;
  }
  return best;
}

/// Groups of n as scale * q - min with q in 0 .. hi and integers 0 .. most.
Super with_minima(const float* x, const float* w, size_t n, float hi, int most) {
  std::array<Affine, kMostGroups> lines;
  float largest_scale = 0, largest_min = 0;
  Super s;
  for (size_t g = 0; g < kSuperBlock / n; ++g) {
    lines[g] = fit_affine(x + g * n, w + g * n, n, hi, s.q.data() + g * n);
    largest_scale = std::max(largest_scale, lines[g].scale);
    largest_min = std::max(largest_min, lines[g].min);
  }
  const auto top = static_cast<float>(most);
  s.scale = float_to_half(largest_scale / top);
  s.min = float_to_half(largest_min / top);
  const float scale = inverse_of(half_to_float(s.scale)), min = inverse_of(half_to_float(s.min));
  for (size_t g = 0; g < kSuperBlock / n; ++g) {
    s.scales[g] = static_cast<int>(round_to(lines[g].scale * scale, 0, top));
    s.mins[g] = static_cast<int>(round_to(lines[g].min * min, 0, top));
  }
  return improve(Line{0, hi}, x, w, n, 0, most, true, s);
}

/// Groups of n as scale * q with values of `grid` and integers least .. -least - 1.
template <class Grid>
Super without_minima(const Grid& grid, const float* x, const float* w, size_t n, int least, float from,
                     float to) {
  std::array<float, kMostGroups> fitted{};
  float largest = 0;  // with its sign: the integers reach one further below zero
  Super s;
  for (size_t g = 0; g < kSuperBlock / n; ++g) {
    fitted[g] = fit_scale(grid, x + g * n, w + g * n, n, from, to, s.q.data() + g * n);
    if (std::fabs(fitted[g]) > std::fabs(largest)) largest = fitted[g];
  }
  s.scale = float_to_half(largest / static_cast<float>(least));
  const float inverse = inverse_of(half_to_float(s.scale));
  for (size_t g = 0; g < kSuperBlock / n; ++g) {
    s.scales[g] = static_cast<int>(
        round_to(fitted[g] * inverse, static_cast<float>(least), static_cast<float>(-least - 1)));
  }
  return improve(grid, x, w, n, least, -least - 1, false, s);
}

int number(float value, int offset) { return static_cast<int>(value) + offset; }

/// The inverse of ref's six_bit_pairs.
void put_pairs(const Super& s, uint8_t (&to)[12]) {
  for (size_t k = 0; k < 4; ++k) {
    to[k] = static_cast<uint8_t>(s.scales[k] | s.scales[4 + k] >> 4 << 6);
    to[4 + k] = static_cast<uint8_t>(s.mins[k] | s.mins[4 + k] >> 4 << 6);
    to[8 + k] = static_cast<uint8_t>((s.scales[4 + k] & 15) | (s.mins[4 + k] & 15) << 4);
  }
}

/// Bits 0 and 1 of each number, as Q2_K and Q3_K lay them out.
void put_two_bits(const Super& s, int offset, uint8_t (&to)[2][32]) {
  for (size_t c = 0; c < 64; ++c) {
    int byte = 0;
    for (size_t j = 0; j < 4; ++j)
      byte |= (number(s.q[c / 32 * 128 + 32 * j + c % 32], offset) & 3) << (2 * j);
    to[c / 32][c % 32] = static_cast<uint8_t>(byte);
  }
}

/// Bits 0 to 3, as Q4_K and Q5_K lay them out.
void put_nibbles(const Super& s, uint8_t (&to)[4][32]) {
  for (size_t c = 0; c < 128; ++c) {
    const size_t at = c / 32 * 64 + c % 32;
    to[c / 32][c % 32] =
        static_cast<uint8_t>((number(s.q[at], 0) & 15) | (number(s.q[at + 32], 0) & 15) << 4);
  }
}

/// Bit `bit` of element 32 j + l as bit j of to[l].
void put_bit(const Super& s, int bit, int offset, uint8_t (&to)[32]) {
  for (size_t l = 0; l < 32; ++l) {
    int byte = 0;
    for (size_t j = 0; j < 8; ++j) byte |= (number(s.q[32 * j + l], offset) >> bit & 1) << j;
    to[l] = static_cast<uint8_t>(byte);
  }
}

}  // namespace

void quantize(const float* x, const float* w, BlockQ2_K& block) {
  const Super s = with_minima(x, w, 16, 3, 15);
  block.scale = s.scale;
  block.min = s.min;
  for (size_t g = 0; g < 16; ++g) block.scales[g] = static_cast<uint8_t>(s.scales[g] | s.mins[g] << 4);
  put_two_bits(s, 0, block.q);
}

void quantize(const float* x, const float* w, BlockQ3_K& block) {
  const Super s = without_minima(Line{-4, 3}, x, w, 16, -32, -1.5F, 0.9F);
  block.scale = s.scale;
  std::fill_n(block.scales, sizeof(block.scales), uint8_t{0});
  for (size_t g = 0; g < 16; ++g) {
    const int six = s.scales[g] + 32;
    uint8_t &low = block.scales[g % 8], &upper = block.scales[8 + g % 4];
    low = static_cast<uint8_t>(low | (six & 15) << (g < 8 ? 0 : 4));
    upper = static_cast<uint8_t>(upper | six >> 4 << (g / 4 * 2));
  }
  put_two_bits(s, 4, block.q);
  put_bit(s, 2, 4, block.high);
}

void quantize(const float* x, const float* w, BlockQ4_K& block) {
  const Super s = with_minima(x, w, 32, 15, 63);
  block.scale = s.scale;
  block.min = s.min;
  put_pairs(s, block.scales);
  put_nibbles(s, block.q);
}

void quantize(const float* x, const float* w, BlockQ5_K& block) {
  const Super s = with_minima(x, w, 32, 31, 63);
  block.scale = s.scale;
  block.min = s.min;
  put_pairs(s, block.scales);
  put_nibbles(s, block.q);
  put_bit(s, 4, 0, block.high);
}

void quantize(const float* x, const float* w, BlockQ6_K& block) {
  const Super s = without_minima(Line{-32, 31}, x, w, 16, -128, -1.5F, 0.9F);
  block.scale = s.scale;
  for (size_t g = 0; g < 16; ++g) block.scales[g] = static_cast<int8_t>(s.scales[g]);
  for (size_t h = 0; h < 2; ++h) {
    const auto n = [&](size_t j, size_t l) { return number(s.q[128 * h + 32 * j + l], 32); };
    for (size_t l = 0; l < 32; ++l) {
      for (size_t j = 0; j < 2; ++j)
        block.q[h][32 * j + l] = static_cast<uint8_t>((n(j, l) & 15) | (n(j + 2, l) & 15) << 4);
      block.high[h][l] =
          static_cast<uint8_t>(n(0, l) >> 4 | n(1, l) >> 4 << 2 | n(2, l) >> 4 << 4 | n(3, l) >> 4 << 6);
    }
  }
}

void quantize(const float* x, const float* w, BlockIQ4_XS& block) {
  const Super s = without_minima(Iq4Grid{}, x, w, 32, -32, -40, 20);
  block.scale = s.scale;
  block.scales_high = 0;
  std::fill_n(block.scales_low, sizeof(block.scales_low), uint8_t{0});
  for (size_t g = 0; g < 8; ++g) {
    const int six = s.scales[g] + 32;
    block.scales_low[g / 2] = static_cast<uint8_t>(block.scales_low[g / 2] | (six & 15) << (g % 2 * 4));
    block.scales_high = static_cast<uint16_t>(block.scales_high | six >> 4 << (2 * g));
    for (size_t l = 0; l < 16; ++l) {
      block.q[g][l] =
          static_cast<uint8_t>(Iq4Grid::index(s.q[32 * g + l]) | Iq4Grid::index(s.q[32 * g + 16 + l]) << 4);
    }
  }
}

}  // namespace bantam::kernels
