#include "cli/training_environment.h"

#include <cstdlib>

namespace bantam::cli {

bool set_training_environment() {
  bool changed = false;
  auto set = [&](const char* name, const char* value) {
    changed = changed || std::getenv(name) == nullptr;
    ::setenv(name, value, 0);
  };
  // Read by libgomp when it is loaded, so it must be set before: threads that spin long while waiting cost a
  // busy machine a factor of two to three, those that never spin an idle one a factor of 1.5. A value the
  // user set stays.
  set("GOMP_SPINCOUNT", "3000");
#ifdef __x86_64__
  // OpenBLAS 0.3.21 knows processors by name: AMD's with AVX-512 are Haswells to it (4,400 tokens/s instead
  // of 7,600 on a Zen 5 with 6 M parameters), Intel's since Emerald Rapids are Prescotts of 2004 (600 instead
  // of 3,700). What the processor can do decides here. A value the user set stays.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    set("OPENBLAS_CORETYPE", "SkylakeX");
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    set("OPENBLAS_CORETYPE", "Haswell");
  }
#endif
  return changed;
}

}  // namespace bantam::cli
