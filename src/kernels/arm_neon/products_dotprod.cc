// With SDOT, which adds the products of four bytes to each 32-bit lane, and takes one of its operands from a
// lane: four bytes of a weight row meet the same four columns of four tokens.

#include "kernels/arm_neon/dotprod.h"
#include "kernels/arm_neon/neon.h"
#include "kernels/simd128/products.h"

namespace bantam::kernels::arm_neon {
namespace {

struct Sdot : DotProd {
  static constexpr int kRows = 4;
  struct Part {
    int32x4_t sum[2 * kRows];  // [2 r + h]: row r by tokens 4 h and on
  };

  static void put(int8_t* rows, int chunk, int r, int8x16_t w) {
    vst1q_s8(rows + (chunk * kRows + r) * 16, w);
  }

  static void add(Part& part, const int8_t* rows, size_t chunk, const ActivationTile& tile) {
    int8x16_t w[kRows];
    for (int r = 0; r < kRows; ++r) w[r] = vld1q_s8(rows + (chunk * kRows + r) * 16);
    const size_t first = chunk % 2 * 4;
    simd128::unroll<4>([&](auto i) {
      constexpr int lane = decltype(i)::value;
      for (int h = 0; h < 2; ++h) {
        const int8x16_t x = vld1q_s8(tile.q[first + lane][4 * h]);
        for (int r = 0; r < kRows; ++r)
          part.sum[2 * r + h] = vdotq_laneq_s32(part.sum[2 * r + h], x, w[r], lane);
      }
    });
  }

  static int32x4_t total(const Part& part, int n) { return part.sum[n]; }
  static int32x4_t scale(const int32_t (&scales)[kRows], int n) { return vdupq_n_s32(scales[n / 2]); }
  static int32x4_t lanes(const int32x4_t (&totals)[2 * kRows], int r, int h) { return totals[2 * r + h]; }
};

}  // namespace

Matmul quantised_dotprod(tensor::DType type) { return simd128::quantised_product<Neon, Sdot>(type); }

}  // namespace bantam::kernels::arm_neon
