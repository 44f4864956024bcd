#include "kernels/dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>

#include <fmt/format.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace bantam::kernels {
namespace {

struct Isa {
  std::string_view name;
  std::string_view needs;
  bool (*here)();
  const Table& (*table)();
};

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
bool has_dotprod() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
bool has_i8mm() { return has_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0; }
#endif

/// Of this build, the best first.
constexpr Isa kIsas[] = {
#if defined(__x86_64__)
    {"avx512", "AVX-512 F, BW, DQ, VL and VNNI", has_avx512, x86_avx512::table},
    {"avx2", "AVX2, FMA and F16C", has_avx2, x86_avx2::table},
#elif defined(__aarch64__)
    {"neon_i8mm", "int8 matrix products (FEAT_I8MM)", has_i8mm, arm_neon::i8mm},
    {"neon_dotprod", "int8 dot products (FEAT_DotProd)", has_dotprod, arm_neon::dotprod},
    {"neon", "NEON", [] { return true; }, arm_neon::plain},
#elif defined(__wasm_simd128__)
    {"wasm_simd", "SIMD128", [] { return true; }, wasm_simd::table},
#endif
    {"ref", "nothing", [] { return true; }, ref::table},
};
/// Of all builds.
constexpr std::string_view kNames[] = {"ref",          "avx2",      "avx512",    "neon",
                                       "neon_dotprod", "neon_i8mm", "wasm_simd"};

Result<const Table*> choose() {
  const char* forced = std::getenv("BANTAM_ISA");
  if (forced != nullptr && *forced != '\0') {
    auto table = table_by_name(forced);
    if (!table) return std::unexpected(std::move(table).error().in("BANTAM_ISA"));
    return table;
  }
  return &std::ranges::find_if(kIsas, [](const Isa& isa) { return isa.here(); })->table();
}

}  // namespace

Result<const Table*> table_by_name(std::string_view name) {
  for (const Isa& isa : kIsas) {
    if (isa.name != name) continue;
    if (isa.here()) return &isa.table();
    return fail(Code::kUnsupported, "this machine lacks what instruction set {} needs: {}", name, isa.needs);
  }
  if (std::ranges::find(kNames, name) != std::end(kNames))
    return fail(Code::kUnsupported, "instruction set {} is of another processor than this build is for",
                name);
  return fail(Code::kInvalidArgument, "instruction set \"{}\" is unknown, expected one of {}", name,
              fmt::join(kNames, ", "));
}

Result<const Table*> choose_table() {
  static const Result<const Table*> chosen = choose();
  return chosen;
}

}  // namespace bantam::kernels
