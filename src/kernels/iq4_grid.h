#pragma once
#include <cmath>

#include "tensor/blocks.h"

namespace bantam::kernels {

/// The values of the non-linear 4-bit types, as fit_scale wants them.
struct Iq4Grid {
  /// The index of the nearest value.
  static int index(float x) {
    int n = 0;
    for (int k = 0; k < 15; ++k) {
      const float middle = 0.5F * static_cast<float>(tensor::kIq4Values[k] + tensor::kIq4Values[k + 1]);
      n += x > middle ? 1 : 0;
    }
    return n;
  }
  float nearest(float x) const { return tensor::kIq4Values[index(x)]; }
  float reach() const { return 127; }
  float step() const { return 3; }
};

}  // namespace bantam::kernels
