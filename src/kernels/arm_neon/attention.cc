#include "kernels/simd128/attention.h"

#include "kernels/arm_neon/neon.h"
#include "kernels/arm_neon/simd.h"

namespace bantam::kernels::arm_neon {

void attention_f32(const Attention& a) { simd128::attention_f32<Neon>(a); }
void attention_f16(const Attention& a) { simd128::attention_f16<Neon>(a); }
void attention_q8_0(const Attention& a) { simd128::attention_q8_0<Neon>(a); }

}  // namespace bantam::kernels::arm_neon
