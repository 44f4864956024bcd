#include "compress/quantize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/rng.h"
#include "kernels/convert.h"

namespace bantam::compress {
namespace {

using formats::GgmlType;
using formats::GgufFile;

std::string temporary(std::string_view name) {
  return fmt::format("{}/bantam-{}-{}", std::filesystem::temp_directory_path().string(), ::getpid(), name);
}

std::vector<float> random_floats(size_t n) {
  Rng rng(n);
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(rng.normal());
  return out;
}

/// A file of one matrix [4, columns], one odd matrix [2, 24] and one norm, with `bad` at index 5 of the
/// matrix.
std::string write_input(size_t columns, float bad = 0.5F) {
  formats::GgufWriter writer;
  writer.set("general.name", std::string("test"));
  auto matrix = random_floats(4 * columns), odd = random_floats(48), norm = random_floats(columns);
  matrix[5] = bad;
  EXPECT_TRUE(writer.add_tensor("a.weight", GgmlType::kF32, {columns, 4}, std::as_bytes(std::span(matrix))));
  EXPECT_TRUE(writer.add_tensor("odd.weight", GgmlType::kF32, {24, 2}, std::as_bytes(std::span(odd))));
  EXPECT_TRUE(writer.add_tensor("norm.weight", GgmlType::kF32, {columns}, std::as_bytes(std::span(norm))));
  const auto path = temporary("in.gguf");
  EXPECT_TRUE(writer.write(path));
  return path;
}

TEST(Quantize, ConvertsMatricesAndReportsWhatFellBack) {
  const auto in = write_input(64), out = temporary("out.gguf");
  const auto report = quantize_file(in, out, GgmlType::kQ8_0);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->tensors, 3U);
  EXPECT_EQ(report->quantized, 1U);
  EXPECT_EQ(report->kept, 2U);
  EXPECT_EQ(report->kept_names, "odd.weight (F16)");
  EXPECT_GT(report->rmse, 1e-4);
  EXPECT_LT(report->rmse, 1e-2);
  EXPECT_LT(report->bytes_after, report->bytes_before);
  const auto file = GgufFile::open(out);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->find_tensor("a.weight")->type, GgmlType::kQ8_0);
  EXPECT_EQ(file->find_tensor("odd.weight")->type, GgmlType::kF16);
  EXPECT_EQ(file->find_tensor("norm.weight")->type, GgmlType::kF32);
  EXPECT_EQ(file->get_uint("general.file_type"), 7U);
  EXPECT_EQ(file->get_uint("general.quantization_version"), 2U);
  EXPECT_EQ(file->get_string("general.name"), "test");
}

TEST(Quantize, EveryTypeRoundTripsWithinItsStep) {
  const auto in = write_input(64), out = temporary("out.gguf"), back = temporary("back.gguf");
  const auto source = GgufFile::open(in);
  const std::pair<GgmlType, float> steps[] = {
      {GgmlType::kF32, 0.0F},        {GgmlType::kF16, 0x1p-11F},
      {GgmlType::kBF16, 0x1p-8F},    {GgmlType::kQ5_1, 1.0F / 31},
      {GgmlType::kQ5_0, 1.0F / 16},  {GgmlType::kQ4_1, 1.0F / 15},
      {GgmlType::kIQ4_NL, 1.0F / 8}, {GgmlType::kQ8_0, 0.6F / 127},
      {GgmlType::kQ4_0, 1.0F / 8}};  // the largest error over the largest value
  for (const auto& [type, step] : steps) {
    ASSERT_TRUE(quantize_file(in, out, type));
    ASSERT_TRUE(quantize_file(out, back, GgmlType::kF32));
    const auto file = GgufFile::open(back);
    ASSERT_TRUE(file);
    for (const char* name : {"a.weight", "norm.weight"}) {
      const auto a = source->data(*source->find_tensor(name)), b = file->data(*file->find_tensor(name));
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); i += 4) {
        float x, y;
        std::memcpy(&x, a.data() + i, 4);
        std::memcpy(&y, b.data() + i, 4);
        EXPECT_NEAR(x, y, step * 4.5F) << name;  // no value of the input is over 4.5
      }
    }
  }
}

TEST(Quantize, WeightsThatAreNotFiniteAreNamed) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto out = temporary("bad.gguf");
    const auto report = quantize_file(write_input(64, bad), out, GgmlType::kQ4_0);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Code::kInvalidArgument);
    EXPECT_NE(report.error().message.find("a.weight"), std::string::npos) << report.error().message;
    EXPECT_NE(report.error().message.find("index 5"), std::string::npos) << report.error().message;
    EXPECT_FALSE(std::filesystem::exists(out));
  }
  const auto report = quantize_file(write_input(64, 1e6F), temporary("bad.gguf"), GgmlType::kF16);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace bantam::compress
