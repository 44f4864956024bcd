#include "formats/documents.h"

#include <gmock/gmock.h>
#include <lzma.h>

#include <filesystem>
#include <vector>

#include "base/file.h"

namespace bantam::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class DocumentsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("bantam_documents_{}", ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string put(const std::string& name, std::string_view text) {
    EXPECT_TRUE(write_file((folder_ / name).string(), text));
    return (folder_ / name).string();
  }
  static std::string packed(std::string_view text) {
    std::string out(lzma_stream_buffer_bound(text.size()), '\0');
    size_t size = 0;
    EXPECT_EQ(
        lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(text.data()),
                                text.size(), reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
        LZMA_OK);
    out.resize(size);
    return out;
  }
  static std::vector<std::string> all(const std::string& path) {
    auto reader = DocumentReader::open(path);
    if (!reader) return {"error: " + reader.error().message};
    std::vector<std::string> out;
    for (std::string document;;) {
      auto more = reader->next(document);
      if (!more) return {"error: " + more.error().message};
      if (!*more) return out;
      out.push_back(document);
    }
  }
  fs::path folder_;
};

TEST_F(DocumentsTest, SplitsAtLinesOfTheSeparatorAlone) {
  EXPECT_THAT(
      all(put("a.txt", "one\ntwo\n<|endoftext|>\nthree <|endoftext|>\n\n<|endoftext|>\n<|endoftext|>\nlast")),
      ElementsAre("one\ntwo", "three <|endoftext|>\n", "last"));
  EXPECT_THAT(all(put("b.txt", "only")), ElementsAre("only"));
  EXPECT_THAT(all(put("c.txt", "")), ElementsAre());
  EXPECT_THAT(all(put("d.txt", "x\n<|endoftext|>")), ElementsAre("x"));
  EXPECT_THAT(all(put("e.txt", "<|endoftext|>x\ny\n<|endoftext|>\n")), ElementsAre("<|endoftext|>x\ny"));
}

TEST_F(DocumentsTest, JsonLinesAreADocumentEach) {
  EXPECT_THAT(all(put("a.jsonl", "{\"a\":1}\r\n\n{\"b\":\"<|endoftext|>\"}\nlast")),
              ElementsAre("{\"a\":1}", "{\"b\":\"<|endoftext|>\"}", "last"));
  const std::string first((size_t{1} << 20) - 1, 'a');
  EXPECT_THAT(all(put("b.jsonl.xz", packed(first + "\nb\n"))), ElementsAre(first, "b"));
}

TEST_F(DocumentsTest, PiecesMayEndAnywhere) {
  // A separator across the border of what is read at once, at every offset.
  for (size_t shift = 0; shift < 20; ++shift) {
    const std::string first((size_t{1} << 20) - shift, 'a');
    EXPECT_THAT(all(put("a.txt", first + "\n<|endoftext|>\nb\n<|endoftext|>\n")), ElementsAre(first, "b"))
        << shift;
    EXPECT_THAT(all(put("a.txt.xz", packed(first + "\n<|endoftext|>\nb\n<|endoftext|>\n"))),
                ElementsAre(first, "b"));
  }
}

TEST_F(DocumentsTest, SaysWhatIsBroken) {
  EXPECT_THAT(all(put("a.txt", "ok\n<|endoftext|>\nab\xff")).front(),
              HasSubstr("document 2, byte 3: found 0xff"));
  EXPECT_THAT(all(put("a.xz", "no xz at all")).front(), HasSubstr("not in the xz format"));
  std::string text(5000, 'x');
  text += "\n<|endoftext|>\ny";
  const std::string whole = packed(text);
  EXPECT_THAT(all(put("b.xz", whole.substr(0, whole.size() - 9))).front(),
              HasSubstr("xz data end too early"));
  std::string bent = whole;
  bent[whole.size() / 2] ^= 0x40;
  EXPECT_THAT(all(put("c.xz", bent)).front(), HasSubstr("damaged xz data"));
  EXPECT_THAT(all((folder_ / "none").string()).front(), HasSubstr("none"));
}

}  // namespace
}  // namespace bantam::formats
