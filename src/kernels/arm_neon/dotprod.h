#pragma once
// For files compiled with the dot product instructions; internal linkage as simd.h.

#include "kernels/arm_neon/simd.h"

namespace bantam::kernels::arm_neon {
namespace {  // NOLINT(google-build-namespaces)

struct DotProd {
  static int32x4_t dot(int32x4_t acc, int8x16_t w, int8x16_t x) { return vdotq_s32(acc, w, x); }
};

}  // namespace
}  // namespace bantam::kernels::arm_neon
