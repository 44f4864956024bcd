// Models in several files, and files of version 2.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "formats/gguf.h"

namespace bantam::formats {
namespace {

using testing::HasSubstr;

class Shards : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("bantam-shards-{}", ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(int index, int count = 3) const {
    return (folder_ / fmt::format("m-{:05}-of-{:05}.gguf", index + 1, count)).string();
  }
  /// File `index` with one tensor of its number, called as said.
  void write(int index, uint16_t number, uint16_t count, const std::string& tensor, int32_t total = 3) const {
    GgufWriter writer;
    if (index == 0) writer.set("general.name", std::string("split"));
    writer.set("split.no", number);
    writer.set("split.count", count);
    writer.set("split.tensors.count", total);
    const std::vector<float> values(4, static_cast<float>(index));
    ASSERT_TRUE(writer.add_tensor(tensor, GgmlType::kF32, {4}, std::as_bytes(std::span(values))));
    ASSERT_TRUE(writer.write(path(index)));
  }
  void write_all() const {
    for (int i = 0; i < 3; ++i) write(i, static_cast<uint16_t>(i), 3, fmt::format("t{}", i));
  }
  std::filesystem::path folder_;
};

TEST_F(Shards, AreReadAsOneFile) {
  write_all();
  const auto file = GgufFile::open(path(0));
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 3U);
  for (int i = 0; i < 3; ++i) {
    const auto* tensor = file->find_tensor(fmt::format("t{}", i));
    ASSERT_NE(tensor, nullptr);
    float first = -1;
    std::memcpy(&first, file->data(*tensor).data(), sizeof(first));
    EXPECT_EQ(first, static_cast<float>(i));
  }
  EXPECT_EQ(file->get_string("general.name"), "split");
  uint64_t bytes = 0;
  for (int i = 0; i < 3; ++i) bytes += std::filesystem::file_size(path(i));
  EXPECT_EQ(file->file_bytes(), bytes);
  GgufWriter whole;
  whole.copy_metadata(*file);
  EXPECT_EQ(whole.find("split.count"), nullptr);
}

TEST_F(Shards, AreReadBeforeTheyHaveTheirNames) {
  write_all();
  for (int i = 0; i < 3; ++i) std::filesystem::rename(path(i), path(i) + ".partial");
  const auto place = [](const std::string& name) { return name + ".partial"; };
  const auto file = GgufFile::open(path(0), place);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 3U);
  write(2, 1, 3, "t2");
  std::filesystem::rename(path(2), path(2) + ".partial");
  EXPECT_THAT(GgufFile::open(path(0), place).error().message,
              HasSubstr(path(2) + ": split.no: found 1, expected 2"));
}

TEST_F(Shards, WrongOnesAreNamed) {
  write_all();
  EXPECT_THAT(GgufFile::open(path(1)).error().message, HasSubstr("expected the first: " + path(0)));
  write(2, 1, 3, "t2");
  EXPECT_THAT(GgufFile::open(path(0)).error().message, HasSubstr("split.no: found 1, expected 2"));
  write(2, 2, 4, "t2");
  EXPECT_THAT(GgufFile::open(path(0)).error().message, HasSubstr("split.count: found 4, expected 3"));
  write(2, 2, 3, "t1");
  EXPECT_THAT(GgufFile::open(path(0)).error().message, HasSubstr("found in an earlier file too"));
  std::filesystem::remove(path(2));
  EXPECT_EQ(GgufFile::open(path(0)).error().code, Code::kNotFound);
  write(2, 2, 3, "t2");
  write(0, 0, 3, "t0", 7);
  EXPECT_THAT(GgufFile::open(path(0)).error().message, HasSubstr("split.tensors.count: found 7"));
  write(0, 0, 60000, "t0");
  EXPECT_EQ(GgufFile::open(path(0)).error().code, Code::kLimit);
  write(0, 5, 3, "t0");
  EXPECT_EQ(GgufFile::open(path(0)).error().code, Code::kCorrupt);
  write(0, 0, 3, "t0");
  const auto elsewhere = (folder_ / "renamed.gguf").string();
  std::filesystem::copy_file(path(0), elsewhere);
  EXPECT_THAT(GgufFile::open(elsewhere).error().message,
              HasSubstr("expected a name that ends in -00001-of-00003"));
}

TEST_F(Shards, VersionTwoIsReadAsThree) {
  write(0, 0, 1, "t0", 1);
  auto bytes = *read_file(path(0));
  bytes[4] = 2;
  const auto file = GgufFile::parse(std::as_bytes(std::span(bytes)), "two");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 1U);
}

}  // namespace
}  // namespace bantam::formats
