#include "formats/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>

#include "formats/temporary_for_test.h"

namespace bantam::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string with_length(std::string_view header, std::string_view data) {
  uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  return out.append(header).append(data);
}

Error parse_error(const std::string& bytes) {
  auto file = SafeTensorsFile::parse(std::as_bytes(std::span(bytes)), "t.safetensors");
  return file ? Error{Code::kInternal, "parsed"} : file.error();
}

Error header_error(std::string_view header, size_t data_bytes) {
  return parse_error(with_length(header, std::string(data_bytes, 'd')));
}

std::string small_safetensors() {
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  std::vector<uint8_t> bytes = {9, 8, 7};
  std::vector<int64_t> scalar = {-5};
  std::string path = temporary("small.safetensors");
  auto view = [](auto& items) { return std::as_bytes(std::span(items)); };
  EXPECT_TRUE(write_safetensors(path,
                                {{"b", "U8", {3}, view(bytes)},
                                 {"w", "F32", {2, 3}, view(values)},
                                 {"n", "I64", {}, view(scalar)},
                                 {"none", "F16", {4, 0}, {}}},
                                {{"step", "7"}, {"note", "h\xC3\xA9"}}));
  auto out = read_file(path);
  std::filesystem::remove(path);
  return out.value();
}

TEST(SafeTensors, WhatIsWrittenIsRead) {
  std::string bytes = small_safetensors();
  auto file = SafeTensorsFile::parse(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 4U);
  EXPECT_EQ(file->metadata().at("step"), "7");
  EXPECT_EQ(file->metadata().at("note"), "h\xC3\xA9");
  const auto* w = file->find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->dtype, "F32");
  EXPECT_THAT(w->shape, ElementsAre(2, 3));
  EXPECT_EQ((w->data.data() - reinterpret_cast<const std::byte*>(bytes.data())) % 4, 0);
  float last;
  std::memcpy(&last, w->data.data() + 20, 4);
  EXPECT_EQ(last, 6);
  EXPECT_TRUE(file->find("n")->shape.empty());
  EXPECT_EQ(file->find("b")->data[2], std::byte{7});
  EXPECT_TRUE(file->find("none")->data.empty());
  EXPECT_EQ(file->find("x"), nullptr);
}

TEST(SafeTensors, TruncationAtEveryByteIsAnError) {
  std::string whole = small_safetensors();
  for (size_t n = 0; n < whole.size(); ++n) {
    Error error = parse_error(std::string(whole.data(), n));
    EXPECT_EQ(error.code, Code::kCorrupt) << n << error.message;
    EXPECT_THAT(error.message, AllOf(HasSubstr("t.safetensors"), HasSubstr("found"), HasSubstr("expected")));
  }
}

TEST(SafeTensors, EveryBitFlipIsAnErrorOrAValidFile) {
  std::string whole = small_safetensors();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    whole[bit / 8] = static_cast<char>(whole[bit / 8] ^ (1 << bit % 8));
    parse_error(whole);
    whole[bit / 8] = static_cast<char>(whole[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(SafeTensors, MalformedHeaders) {
  auto one = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return fmt::format(R"({{"t":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  };
  EXPECT_EQ(header_error(one("\"F32\"", "[2]", "[0,8]"), 8).message, "parsed");
  EXPECT_EQ(header_error(one("\"F32\"", "[2]", "[0,8]") + "   ", 8).message, "parsed");
  EXPECT_EQ(header_error("{}", 0).message, "parsed");
  EXPECT_THAT(header_error(one("\"F99\"", "[2]", "[0,8]"), 8).message,
              AllOf(HasSubstr("tensor t"), HasSubstr("dtype: found \"F99\"")));
  EXPECT_THAT(header_error(one("7", "[2]", "[0,8]"), 8).message, HasSubstr("dtype: found 7"));
  EXPECT_THAT(header_error(one("\"F32\"", "[-2]", "[0,8]"), 8).message, HasSubstr("shape: found -2"));
  EXPECT_THAT(header_error(one("\"F32\"", "[2.0]", "[0,8]"), 8).message, HasSubstr("shape: found 2.0"));
  EXPECT_THAT(header_error(one("\"F32\"", "2", "[0,8]"), 8).message, HasSubstr("shape: found number"));
  EXPECT_THAT(header_error(one("\"F32\"", "[3]", "[0,8]"), 8).message,
              HasSubstr("found 8 bytes, expected 12"));
  EXPECT_THAT(header_error(one("\"F32\"", "[2]", "[0,16]"), 8).message,
              HasSubstr("data_offsets: found [0,16]"));
  EXPECT_THAT(header_error(one("\"F32\"", "[2]", "[8,0]"), 8).message,
              HasSubstr("data_offsets: found [8,0]"));
  EXPECT_THAT(header_error(one("\"F32\"", "[2]", "[0]"), 8).message, HasSubstr("data_offsets"));
  EXPECT_THAT(header_error(one("\"F32\"", "[2]", "[0,8]"), 12).message,
              HasSubstr("found 12 bytes of data, expected 8"));
  EXPECT_EQ(header_error(one("\"F32\"", "[4611686018427387904,4]", "[0,8]"), 8).code, Code::kCorrupt);
  EXPECT_EQ(header_error(one("\"F32\"", "[18446744073709551616]", "[0,8]"), 8).code, Code::kCorrupt);
  EXPECT_EQ(header_error("[]", 0).code, Code::kCorrupt);
  EXPECT_EQ(header_error("{", 0).code, Code::kCorrupt);
  EXPECT_EQ(header_error("{\"t\":1}", 0).code, Code::kCorrupt);
  EXPECT_EQ(header_error("{\"t\":{}}", 0).code, Code::kCorrupt);
  EXPECT_EQ(header_error(R"({"__metadata__":{"a":1}})", 0).code, Code::kCorrupt);
  EXPECT_EQ(header_error(R"({"__metadata__":[]})", 0).code, Code::kCorrupt);
  EXPECT_THAT(header_error(std::string(1000000, '['), 0).message, HasSubstr("nested"));
  EXPECT_THAT(header_error("{\"a\":" + std::string(1000000, '['), 0).message, HasSubstr("nested"));
}

TEST(SafeTensors, OverlapGapAndRepetition) {
  auto two = [](std::string_view second_name, std::string_view first, std::string_view second) {
    return fmt::format(
        R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},"{}":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
        first, second_name, second);
  };
  EXPECT_EQ(header_error(two("b", "[4,8]", "[0,4]"), 8).message, "parsed");
  EXPECT_THAT(header_error(two("b", "[0,4]", "[2,6]"), 6).message,
              AllOf(HasSubstr("tensor b"), HasSubstr("overlaps")));
  EXPECT_THAT(header_error(two("b", "[0,4]", "[6,10]"), 10).message, HasSubstr("gap"));
  EXPECT_THAT(header_error(two("a", "[0,4]", "[4,8]"), 8).message, HasSubstr("'a' stands twice"));
  EXPECT_THAT(
      header_error(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1).message,
      HasSubstr("'dtype' stands twice"));
}

TEST(SafeTensors, LyingHeaderLength) {
  for (uint64_t length : {UINT64_MAX, uint64_t{1} << 63, uint64_t{200'000'000}, uint64_t{3}}) {
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    EXPECT_THAT(parse_error(bytes + "{}").message, HasSubstr("header length: found"));
  }
}

TEST(SafeTensors, WriterRefusals) {
  std::vector<std::byte> data(8);
  std::string path = temporary("never.safetensors");
  auto code = [&](const SafeTensor& tensor) { return write_safetensors(path, {tensor}).error().code; };
  EXPECT_EQ(code({"t", "F32", {3}, data}), Code::kInvalidArgument);
  EXPECT_EQ(code({"t", "F00", {2}, data}), Code::kInvalidArgument);
  EXPECT_EQ(code({"__metadata__", "F32", {2}, data}), Code::kInvalidArgument);
  EXPECT_EQ(code({"\xFF", "F32", {2}, data}), Code::kInvalidArgument);
  EXPECT_EQ(write_safetensors(path, {{"t", "U8", {8}, data}, {"t", "U8", {8}, data}}).error().code,
            Code::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SafeTensors, AFileWeDidNotMake) {
  std::string folder = BANTAM_SOURCE_DIR "/../shared/data/models/static-embedder";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    auto file = SafeTensorsFile::open(entry.path());
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_FALSE(file->tensors().empty());
  }
}

}  // namespace
}  // namespace bantam::formats
