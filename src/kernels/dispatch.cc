#include "kernels/dispatch.h"

#include <cstdlib>
#include <string>

namespace bantam::kernels {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

Result<const Table*> choose() {
  const char* forced = std::getenv("BANTAM_ISA");
  if (forced != nullptr && *forced != '\0') {
    auto table = table_by_name(forced);
    if (!table) return std::unexpected(std::move(table).error().in("BANTAM_ISA"));
    return table;
  }
  if (has_avx512()) return table_by_name("avx512");
  return table_by_name(has_avx2() ? "avx2" : "ref");
}

}  // namespace

Result<const Table*> table_by_name(std::string_view name) {
  if (name == "ref") return &ref::table();
  if (name != "avx2" && name != "avx512") {
    return fail(Code::kInvalidArgument, "instruction set \"{}\" is unknown, expected ref, avx2 or avx512",
                name);
  }
#if defined(__x86_64__)
  if (name == "avx512") {
    if (has_avx512()) return &x86_avx512::table();
    return fail(Code::kUnsupported,
                "this machine lacks AVX-512 F, BW, DQ, VL or VNNI, which instruction set avx512 needs");
  }
  if (has_avx2()) return &x86_avx2::table();
#endif
  return fail(Code::kUnsupported, "this machine lacks AVX2, FMA or F16C, which instruction set avx2 needs");
}

Result<const Table*> choose_table() {
  static const Result<const Table*> chosen = choose();
  return chosen;
}

}  // namespace bantam::kernels
