#include "kernels/fit.h"

#include <algorithm>

namespace bantam::kernels {
namespace {

/// The least-squares line through (q, x) with min >= 0, and its error.
struct Fitted {
  Affine line;
  float error;
};

Fitted least_squares(const float* x, const float* w, const float* q, size_t n) {
  float sw = 0, sx = 0, sq = 0, sqq = 0, sxq = 0;
  for (size_t i = 0; i < n; ++i) {
    const float wq = w[i] * q[i];
    sw += w[i];
    sx += w[i] * x[i];
    sq += wq;
    sqq += wq * q[i];
    sxq += wq * x[i];
  }
  const float determinant = sw * sqq - sq * sq;
  Affine line;
  if (determinant > 0) {
    line.scale = (sw * sxq - sq * sx) / determinant;
    line.min = (sq * sxq - sqq * sx) / determinant;
  } else {
    line.min = sw > 0 ? -sx / sw : 0;
  }
  if (line.min < 0) {
    line.min = 0;
    line.scale = sqq > 0 ? sxq / sqq : 0;
  }
  float error = 0;
  for (size_t i = 0; i < n; ++i) {
    const float d = x[i] - (line.scale * q[i] - line.min);
    error += w[i] * d * d;
  }
  return {line, error};
}

}  // namespace

Affine fit_affine(const float* x, const float* w, size_t n, float hi, float* q) {
  float lowest = 0, highest = x[0];
  for (size_t i = 0; i < n; ++i) {
    lowest = std::min(lowest, x[i]);
    highest = std::max(highest, x[i]);
  }
  std::fill_n(q, n, 0.0F);
  if (!(highest - lowest < 1e30F)) return {};
  if (highest <= lowest) return {0, -lowest};
  constexpr int kSteps = 18;
  float trial[256];
  Fitted best{{0, -lowest}, INFINITY};
  const auto consider = [&](Affine from) {
    if (!(from.scale > 1e-30F)) return;
    const float inverse = 1 / from.scale;
    for (size_t i = 0; i < n; ++i) trial[i] = round_to((x[i] + from.min) * inverse, 0, hi);
    const Fitted found = least_squares(x, w, trial, n);
    if (!(found.error < best.error)) return;
    best = found;
    std::copy_n(trial, n, q);
  };
  for (int k = 0; k <= kSteps; ++k) {
    const float levels = hi + 0.1F * static_cast<float>(k - kSteps / 2);
    consider({(highest - lowest) / levels, -lowest});
  }
  consider(best.line);
  return best.line;
}

void error_weights(const float* x, const float* importance, size_t n, float* w) {
  float mean = 0;
  for (size_t i = 0; i < n; ++i) mean += x[i] * x[i];
  mean = std::sqrt(mean / static_cast<float>(n));
  if (!(mean > 1e-30F && mean < 1e15F)) mean = 1;
  for (size_t i = 0; i < n; ++i) {
    w[i] = std::min(1 + std::fabs(x[i]) / mean, 1e6F) * (importance != nullptr ? importance[i] : 1.0F);
  }
}

}  // namespace bantam::kernels
