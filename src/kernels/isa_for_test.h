#pragma once
// What the kernels' tests share.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/dispatch.h"

namespace bantam::kernels {

/// The instruction set that a test is run for.
inline const Table* isa = nullptr;
inline const Table& fast() { return *isa; }

class ForEachIsa : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto table = table_by_name(GetParam());
    if (!table) GTEST_SKIP() << table.error().message;
    isa = *table;
  }
};
inline const auto kIsas = testing::Values("avx2", "avx512", "neon", "neon_dotprod", "neon_i8mm", "wasm_simd");
inline std::string isa_name(const testing::TestParamInfo<const char*>& info) { return info.param; }

inline std::vector<float> random_floats(size_t n, uint64_t seed, float size = 1.0F) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& x : out) x = size * static_cast<float>(rng.normal());
  return out;
}

}  // namespace bantam::kernels
