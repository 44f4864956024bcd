#pragma once
// A file of this test program's own.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace bantam::formats {

inline std::string temporary(std::string_view name) {
  return fmt::format("{}bantam-{}-{}", testing::TempDir(), ::getpid(), name);
}

}  // namespace bantam::formats
