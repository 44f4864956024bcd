// With SMMLA, which multiplies two rows of eight bytes by two columns of eight: pairs of weight rows meet
// pairs of tokens.

#include "kernels/arm_neon/dotprod.h"
#include "kernels/arm_neon/neon.h"
#include "kernels/simd128/products.h"

namespace bantam::kernels::arm_neon {
namespace {

struct Smmla : DotProd {
  static constexpr int kRows = 8, kPairs = kRows / 2;
  /// [4 p + j]: row 2 p by tokens 2 j and 2 j + 1, then row 2 p + 1 by them.
  struct Part {
    int32x4_t sum[4 * kPairs];
  };

  /// Halves of chunks; in each the pairs of rows, eight bytes of each row.
  static void put(int8_t* rows, int chunk, int r, int8x16_t w) {
    int8_t* to = rows + (chunk * 2 * kPairs + r / 2) * 16 + r % 2 * 8;
    vst1_s8(to, vget_low_s8(w));
    vst1_s8(to + kPairs * 16, vget_high_s8(w));
  }

  static void add(Part& part, const int8_t* rows, size_t chunk, const ActivationTile& tile) {
    for (size_t half = 0; half < 2; ++half) {
      const auto* q = tile.q + chunk % 2 * 4 + half * 2;  // four columns of all tokens, then the next four
      const auto load = [&](size_t i, size_t t) { return vreinterpretq_s32_s8(vld1q_s8(q[i][t])); };
      const int32x4_t a = load(0, 0), b = load(1, 0), c = load(0, 4), d = load(1, 4);
      const int8x16_t x[4] = {vreinterpretq_s8_s32(vzip1q_s32(a, b)), vreinterpretq_s8_s32(vzip2q_s32(a, b)),
                              vreinterpretq_s8_s32(vzip1q_s32(c, d)), vreinterpretq_s8_s32(vzip2q_s32(c, d))};
      for (int p = 0; p < kPairs; ++p) {
        const int8x16_t w = vld1q_s8(rows + ((chunk * 2 + half) * kPairs + p) * 16);
        for (int j = 0; j < 4; ++j) part.sum[4 * p + j] = vmmlaq_s32(part.sum[4 * p + j], w, x[j]);
      }
    }
  }

  static int32x4_t total(const Part& part, int n) { return part.sum[n]; }
  static int32x4_t scale(const int32_t (&scales)[kRows], int n) {
    const int32_t* pair = scales + n / 4 * 2;
    return vcombine_s32(vdup_n_s32(pair[0]), vdup_n_s32(pair[1]));
  }
  static int32x4_t lanes(const int32x4_t (&totals)[2 * kRows], int r, int h) {
    const int64x2_t a = vreinterpretq_s64_s32(totals[r / 2 * 4 + 2 * h]),
                    b = vreinterpretq_s64_s32(totals[r / 2 * 4 + 2 * h + 1]);
    return vreinterpretq_s32_s64(r % 2 == 0 ? vzip1q_s64(a, b) : vzip2q_s64(a, b));
  }
};

}  // namespace

Matmul quantised_i8mm(tensor::DType type) { return simd128::quantised_product<Neon, Smmla>(type); }

}  // namespace bantam::kernels::arm_neon
