#include "kernels/simd128/attention.h"

#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"

namespace bantam::kernels::arm_neon {

using Attend = simd128::Attend<Neon>;

void attention_f32(const Attention& a) { Attend::run<Attend::F32>(a); }
void attention_f16(const Attention& a) { Attend::run<Attend::F16>(a); }

}  // namespace bantam::kernels::arm_neon
