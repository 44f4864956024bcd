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

Result<const Table*> choose() {
  const char* forced = std::getenv("BANTAM_ISA");
  if (forced != nullptr && *forced != '\0') {
    auto table = table_by_name(forced);
    if (!table) return std::unexpected(std::move(table).error().in("BANTAM_ISA"));
    return table;
  }
  return table_by_name(has_avx2() ? "avx2" : "ref");
}

}  // namespace

Result<const Table*> table_by_name(std::string_view name) {
  if (name == "ref") return &ref::table();
  if (name != "avx2") {
    return fail(Code::kInvalidArgument, "instruction set \"{}\" is unknown, expected ref or avx2", name);
  }
#if defined(__x86_64__)
  if (has_avx2()) return &x86_avx2::table();
#endif
  return fail(Code::kUnsupported, "this machine lacks AVX2, FMA or F16C, which instruction set avx2 needs");
}

Result<const Table*> choose_table() {
  static const Result<const Table*> chosen = choose();
  return chosen;
}

}  // namespace bantam::kernels
