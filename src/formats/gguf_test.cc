#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "formats/temporary_for_test.h"

namespace bantam::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

GgufWriter small_writer() {
  GgufWriter out;
  out.set("general.architecture", "llama");
  out.set("a.u8", uint8_t{200});
  out.set("a.i8", int8_t{-5});
  out.set("a.u16", uint16_t{60000});
  out.set("a.i16", int16_t{-300});
  out.set("a.u32", uint32_t{4000000000U});
  out.set("a.i32", int32_t{-7});
  out.set("a.f32", 0.5F);
  out.set("a.bool", true);
  out.set("a.u64", uint64_t{1} << 40);
  out.set("a.i64", int64_t{-1});
  out.set("a.f64", 0.25);
  out.set("b.strings", GgufArray(std::vector<std::string>{"x", "", "yz"}));
  out.set("b.floats", GgufArray(std::vector<float>{1, 2.5F}));
  out.set("b.ints", GgufArray(std::vector<int32_t>{-1, 3}));
  out.set("b.bools", GgufArray(std::vector<bool>{true, false, true}));
  out.set("b.none", GgufArray(std::vector<uint64_t>{}));
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  EXPECT_TRUE(out.add_tensor("w", GgmlType::kF32, {3, 2}, std::as_bytes(std::span(values))));
  std::vector<std::byte> blocks(34 * 2, std::byte{7});
  EXPECT_TRUE(out.add_tensor("q", GgmlType::kQ8_0, {32, 2}, blocks));
  return out;
}

std::string small_gguf() {
  std::string path = temporary("small.gguf");
  EXPECT_TRUE(small_writer().write(path));
  auto out = read_file(path);
  std::filesystem::remove(path);
  return out.value();
}

/// Builds files the writer would refuse to write.
struct Raw {
  std::string bytes = "GGUF";
  template <class T>
  Raw& number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Raw& u32(uint32_t value) { return number(value); }
  Raw& u64(uint64_t value) { return number(value); }
  Raw& text(std::string_view value) {
    u64(value.size());
    bytes += value;
    return *this;
  }
  Raw& header(uint64_t tensors, uint64_t pairs) { return u32(3).u64(tensors).u64(pairs); }
  Raw& tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    text(name).u32(static_cast<uint32_t>(shape.size()));
    for (uint64_t size : shape) u64(size);
    return u32(type).u64(offset);
  }
  Raw& data(size_t count) {
    bytes.append((32 - bytes.size() % 32) % 32, '\0').append(count, 'd');
    return *this;
  }
  Error error() const {
    auto file = GgufFile::parse(bytes_of(bytes), "raw.gguf");
    if (file) return {Code::kInternal, "parsed"};
    return file.error();
  }
};

TEST(Gguf, WhatIsWrittenIsRead) {
  std::string path = temporary("round.gguf");
  ASSERT_TRUE(small_writer().write(path));
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file->get_uint("a.u8").value(), 200U);
  EXPECT_EQ(file->get_uint("a.u32").value(), 4000000000U);
  EXPECT_EQ(file->get_uint("a.u64").value(), uint64_t{1} << 40);
  EXPECT_EQ(file->get_float("a.f32").value(), 0.5);
  EXPECT_EQ(file->get_float("a.f64").value(), 0.25);
  EXPECT_TRUE(file->get_bool("a.bool").value());
  EXPECT_THAT(file->get_strings("b.strings").value(), ElementsAre("x", "", "yz"));
  EXPECT_THAT(file->get_floats("b.floats").value(), ElementsAre(1, 2.5F));
  EXPECT_THAT(file->get_ints("b.ints").value(), ElementsAre(-1, 3));
  EXPECT_EQ(file->get_uint("a.i32").error().code, Code::kCorrupt);
  EXPECT_THAT(file->get_uint("a.i32").error().message,
              AllOf(HasSubstr(path), HasSubstr("a.i32"), HasSubstr("-7")));
  EXPECT_EQ(file->get_uint("missing").error().code, Code::kNotFound);
  EXPECT_EQ(file->get_uint_or("missing", 5).value(), 5U);
  EXPECT_EQ(file->get_string_or("a.u8", "z").error().code, Code::kCorrupt);
  EXPECT_EQ(file->get_bool("a.u8").error().code, Code::kCorrupt);
  const auto* w = file->find_tensor("w");
  ASSERT_NE(w, nullptr);
  EXPECT_THAT(w->shape, ElementsAre(3, 2));
  EXPECT_EQ(w->elements(), 6U);
  EXPECT_EQ(w->offset % 32, 0U);
  float third;
  std::memcpy(&third, file->data(*w).data() + 8, 4);
  EXPECT_EQ(third, 3);
  EXPECT_EQ(file->data(*file->find_tensor("q")).size(), 68U);
  EXPECT_EQ(file->find_tensor("none"), nullptr);
  GgufFile moved = std::move(*file);
  EXPECT_EQ(moved.data(*moved.find_tensor("q"))[67], std::byte{7});

  GgufWriter copy;
  copy.copy_metadata(moved);
  for (const auto& tensor : moved.tensors())
    ASSERT_TRUE(copy.add_tensor(tensor.name, tensor.type, tensor.shape, moved.data(tensor)));
  std::string second = temporary("copy.gguf");
  ASSERT_TRUE(copy.write(second));
  EXPECT_EQ(read_file(path).value(), read_file(second).value());
  std::filesystem::remove(path);
  std::filesystem::remove(second);
}

TEST(Gguf, WriterKeepsOrderAndRefusesWrongTensors) {
  GgufWriter out;
  out.set("x", uint32_t{1});
  out.set("y", uint32_t{2});
  out.set("x", "again");
  EXPECT_EQ(std::get<std::string>(*out.find("x")), "again");
  out.remove("y");
  EXPECT_EQ(out.find("y"), nullptr);
  std::vector<std::byte> data(8);
  EXPECT_EQ(out.add_tensor("t", GgmlType::kF32, {3}, data).error().code, Code::kInvalidArgument);
  EXPECT_EQ(out.add_tensor("t", GgmlType::kQ4_0, {8}, data).error().code, Code::kInvalidArgument);
  EXPECT_EQ(out.add_tensor("t", GgmlType::kF32, {uint64_t{1} << 63, 4}, data).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(out.add_tensor("t", static_cast<GgmlType>(16), {8}, data).error().code, Code::kInvalidArgument);
  EXPECT_EQ(out.add_tensor(std::string(64, 'n'), GgmlType::kF32, {2}, data).error().code,
            Code::kInvalidArgument);
  EXPECT_TRUE(out.add_tensor("t", GgmlType::kF32, {2}, data));
  EXPECT_EQ(out.add_tensor("t", GgmlType::kF32, {2}, data).error().code, Code::kInvalidArgument);
}

TEST(Gguf, TruncationAtEveryByteIsAnError) {
  std::string whole = small_gguf();
  size_t end = 0;
  {
    auto file = GgufFile::parse(bytes_of(whole));
    ASSERT_TRUE(file) << file.error().message;
    for (const auto& tensor : file->tensors())
      end = std::max(end, static_cast<size_t>(tensor.offset + tensor.bytes));
  }
  for (size_t n = 0; n < end; ++n) {
    std::string cut(whole.data(), n);  // its own allocation, so that AddressSanitizer sees a read beyond
    auto file = GgufFile::parse(bytes_of(cut), "cut.gguf");
    ASSERT_FALSE(file) << n;
    EXPECT_EQ(file.error().code, Code::kCorrupt);
    EXPECT_THAT(file.error().message,
                AllOf(HasSubstr("cut.gguf"), HasSubstr("found"), HasSubstr("expected")));
  }
}

TEST(Gguf, EveryBitFlipIsAnErrorOrAValidFile) {
  std::string whole = small_gguf();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    whole[bit / 8] = static_cast<char>(whole[bit / 8] ^ (1 << bit % 8));
    auto file = GgufFile::parse(bytes_of(whole), "flip.gguf");
    if (file) {
      for (const auto& tensor : file->tensors()) EXPECT_EQ(file->data(tensor).size(), tensor.bytes);
    } else {
      EXPECT_THAT(file.error().message, HasSubstr("flip.gguf"));
    }
    whole[bit / 8] = static_cast<char>(whole[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Gguf, LyingCountsAndSizes) {
  constexpr uint64_t kHuge = UINT64_MAX;
  EXPECT_THAT(Raw().header(kHuge, 0).data(64).error().message,
              HasSubstr("tensor count: found 18446744073709551615"));
  EXPECT_THAT(Raw().header(0, kHuge).data(64).error().message, HasSubstr("metadata count"));
  EXPECT_EQ(Raw().header(0, 1).u64(kHuge).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(0, 1).text("k").u32(8).u64(kHuge - 3).data(64).error().code, Code::kCorrupt);
  // array lengths whose product with the element size wraps
  for (uint32_t element : {0U, 3U, 4U, 7U, 8U, 10U, 12U}) {
    for (uint64_t count : {kHuge, (uint64_t{1} << 61) + 1, uint64_t{1} << 63, uint64_t{1} << 32}) {
      Raw raw;
      raw.header(0, 1).text("k").u32(9).u32(element).u64(count).data(64);
      EXPECT_EQ(raw.error().code, Code::kCorrupt) << element << " " << count;
    }
  }
  // CVE-2025-53630: sizes of tensors that wrap when they are summed
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {uint64_t{1} << 62, 4}, 0, 0).data(64).error().code,
            Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {uint64_t{1} << 62}, 0, 0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {16}, 0, kHuge - 31).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw()
                .header(2, 0)
                .tensor("t", {(kHuge - 31) / 4}, 0, 0)
                .tensor("u", {32}, 0, kHuge - 31)
                .data(64)
                .error()
                .code,
            Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {17}, 0, 0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {16}, 0, 0).data(64).error().message, "parsed");
}

TEST(Gguf, MalformedFields) {
  EXPECT_THAT(Raw().u32(1).u64(0).u64(0).error().message, HasSubstr("version: found 1, expected 2 or 3"));
  EXPECT_EQ(Raw().u32(1).u64(0).u64(0).error().code, Code::kUnsupported);
  EXPECT_THAT(Raw().u32(0x03000000).u64(0).u64(0).error().message, HasSubstr("big-endian"));
  EXPECT_EQ(Raw().u32(2).u64(0).u64(0).error().message, "parsed");
  EXPECT_EQ(Raw().header(0, 1).text("k").u32(9).u32(9).u64(0).data(64).error().code, Code::kUnsupported);
  EXPECT_EQ(Raw().header(0, 1).text("k").u32(13).u32(9).u64(0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(0, 1).text("k").u32(7).number(uint8_t{2}).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(0, 1).text("").u32(7).number(uint8_t{1}).data(64).error().code, Code::kCorrupt);
  EXPECT_THAT(Raw().header(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1).error().message,
              HasSubstr("second time"));
  EXPECT_THAT(Raw().header(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).data(64).error().message,
              HasSubstr("second time"));
  EXPECT_THAT(Raw().header(2, 0).tensor("t", {9}, 0, 0).tensor("u", {8}, 0, 32).data(64).error().message,
              HasSubstr("inside tensor t"));
  EXPECT_THAT(Raw().header(1, 0).tensor("t", {8}, 0, 4).data(64).error().message,
              HasSubstr("multiple of 32"));
  EXPECT_THAT(Raw().header(1, 0).tensor("t", {8}, 16, 0).data(64).error().message,
              HasSubstr("found IQ2_XXS"));
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {8}, 16, 0).data(64).error().code, Code::kUnsupported);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {8, 0}, 0, 0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {}, 0, 0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).data(64).error().code, Code::kCorrupt);
  EXPECT_EQ(Raw().header(1, 0).tensor("t", {16}, 8, 0).data(64).error().code, Code::kCorrupt);
  for (uint32_t alignment : {0U, 24U}) {
    EXPECT_THAT(Raw().header(0, 1).text("general.alignment").u32(4).u32(alignment).error().message,
                HasSubstr("power of two"));
  }
  EXPECT_EQ(Raw()
                .header(1, 1)
                .text("general.alignment")
                .u32(4)
                .u32(8)
                .tensor("t", {2}, 0, 8)
                .data(64)
                .error()
                .message,
            "parsed");
}

TEST(Gguf, TypeNames) {
  EXPECT_EQ(ggml_type_name(8), "Q8_0");
  EXPECT_EQ(ggml_type_name(30), "BF16");
  EXPECT_EQ(ggml_type_name(77), "type 77");
  EXPECT_EQ(ggml_type_from_name("f16").value(), GgmlType::kF16);
  EXPECT_EQ(ggml_type_from_name("Q4_0").value(), GgmlType::kQ4_0);
  EXPECT_THAT(ggml_type_from_name("Q9").error().message, HasSubstr("F32, F16, BF16, Q8_0"));
}

TEST(Gguf, AModelWeDidNotMake) {
  std::string path = BANTAM_SOURCE_DIR "/../shared/data/models/stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file->get_strings("tokenizer.ggml.tokens")->size(), 512U);
  ASSERT_NE(file->find_tensor("token_embd.weight"), nullptr);
  EXPECT_THAT(file->find_tensor("token_embd.weight")->shape, ElementsAre(64, 512));
}

TEST(Gguf, MissingFileAndFullDisk) {
  EXPECT_EQ(GgufFile::open("/nonexistent/x.gguf").error().code, Code::kNotFound);
  EXPECT_FALSE(small_writer().write("/nonexistent/x.gguf"));
}

TEST(GgufWriter, OnlyWhatIsCheckedTakesTheName) {
  const std::string path = temporary("checked.gguf");
  std::vector<std::byte> data(8, std::byte{3});
  GgufWriter writer = small_writer();
  ASSERT_TRUE(writer.borrow_tensor("late", GgmlType::kF32, {2}, data));
  data[0] = std::byte{7};  // nothing was copied
  ASSERT_TRUE(write_file(path, "before"));
  const auto refused = writer.write(path, [&](const GgufFile& file) -> Status {
    EXPECT_EQ(file.path(), path);
    EXPECT_NE(file.find_tensor("late"), nullptr);
    return fail(Code::kUnsupported, "no");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no");
  EXPECT_EQ(read_file(path).value(), "before");
  EXPECT_FALSE(std::filesystem::exists(fmt::format("{}.{}.partial", path, ::getpid())));
  ASSERT_TRUE(writer.write(path, [](const GgufFile&) { return Status{}; }));
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(std::ranges::equal(file->data(*file->find_tensor("late")), data));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace bantam::formats
