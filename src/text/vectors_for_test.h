#pragma once
// Test helpers that more than one test file needs.

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <sstream>

#include "text/tokenizer.h"

namespace bantam::text {

inline const std::string kData = BANTAM_SOURCE_DIR "/../shared/data/";

/// The tokenizer saved to a file and loaded again.
inline Result<std::unique_ptr<Tokenizer>> reload(const Tokenizer& tokenizer) {
  formats::GgufWriter writer;
  tokenizer.save(writer);
  std::string path = fmt::format("{}bantam-{}-tokenizer.gguf", testing::TempDir(), ::getpid());
  BANTAM_TRY(writer.write(path));
  auto file = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  if (!file) return std::unexpected(file.error());
  return load_tokenizer(*file);
}

/// Texts and ids of another program: BASE.inp holds the texts, BASE.out a line of ids for each.
inline void expect_vectors(const Tokenizer& tokenizer, const std::string& base, bool round_trip = true) {
  std::string texts = read_file(base + ".inp").value();
  std::istringstream lines(read_file(base + ".out").value());
  const std::string separator = "\n__ggml_vocab_test__\n";
  size_t count = 0;
  for (size_t begin = 0; begin <= texts.size(); ++count) {
    size_t end = std::min(texts.find(separator, begin), texts.size());
    std::string text = texts.substr(begin, end - begin), line;
    begin = end + separator.size();
    if (!std::getline(lines, line)) break;
    std::istringstream numbers(line);
    std::vector<TokenId> expected(std::istream_iterator<TokenId>(numbers), {});
    auto ids = tokenizer.encode(text, {.add_special = false});
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, expected) << base << ": " << testing::PrintToString(text);
    if (round_trip) {
      EXPECT_EQ(tokenizer.decode(*ids), text);
    }
  }
  EXPECT_GE(count, 46U);
}

}  // namespace bantam::text
