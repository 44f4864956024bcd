#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/output.h"

namespace bantam::cli {
namespace {

/// What a bar that writes to a file (no terminal) leaves there.
std::string plain_lines(bool quiet, const std::vector<Progress>& reports) {
  std::FILE* file = std::tmpfile();
  {
    ProgressBar bar(quiet, file);
    for (const Progress& report : reports) bar.update(report);
  }
  std::string out(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(out.data(), 1, out.size(), file), out.size());
  std::fclose(file);
  return out;
}

TEST(ProgressBar, PlainLinesAtTheStartAndEndOfAStep) {
  std::vector<Progress> reports;
  for (uint64_t i = 0; i <= 1000; ++i) reports.push_back({"train", i, 1000, i == 1000 ? "loss 0.1" : ""});
  for (uint64_t i = 1; i <= 3; ++i) reports.push_back({"prune", i, 3, ""});
  EXPECT_EQ(plain_lines(false, reports),
            "train: 0/1000\ntrain: 1000/1000, in 0:00, loss 0.1\nprune: 1/3\nprune: 3/3, in 0:00\n");
}

TEST(ProgressBar, AStepOfTheSameNameMayComeAgain) {
  EXPECT_EQ(plain_lines(false, {{"a", 2, 2, ""}, {"a", 2, 2, ""}, {"a", 1, 2, ""}, {"a", 2, 2, ""}}),
            "a: 2/2, in 0:00\na: 1/2\na: 2/2, in 0:00\n");
}

TEST(ProgressBar, QuietSaysNothing) {
  EXPECT_EQ(plain_lines(true, {{"a", 1, 2, ""}, {"a", 2, 2, ""}}), "");
  EXPECT_FALSE(ProgressBar(true).sink());
}

TEST(ProgressBar, Clock) {
  EXPECT_EQ(ProgressBar::clock(-1), "0:00");
  EXPECT_EQ(ProgressBar::clock(65.4), "1:05");
  EXPECT_EQ(ProgressBar::clock(7208.6), "2:00:09");
}

TEST(Output, HumanBytesAndCommas) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(12'340'000), "12.3 MB");
  EXPECT_EQ(human_bytes(999'999), "1.00 MB");
  EXPECT_EQ(human_bytes(123'000'000'000), "123 GB");
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(123), "123");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
}

TEST(Output, TablesAlign) {
  EXPECT_EQ(text_table({{"a", "1"}, {"ébène", "22"}, {"c"}}), "a       1\nébène  22\nc\n");
  EXPECT_EQ(text_table({}), "");
}

}  // namespace
}  // namespace bantam::cli
