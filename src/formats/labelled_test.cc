#include "formats/labelled.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"

namespace bantam::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A file that lives as long as the object.
struct TemporaryFile {
  std::string path;
  TemporaryFile(std::string_view name, std::string_view content)
      : path(fmt::format("{}bantam-{}-{}", testing::TempDir(), ::getpid(), name)) {
    EXPECT_TRUE(write_file(path, content));
  }
  ~TemporaryFile() { std::filesystem::remove(path); }
};

Error csv_error(std::string_view text) {
  auto table = parse_csv(text, "t.csv");
  return table ? Error{Code::kInternal, "parsed"} : table.error();
}

TEST(Csv, QuotesLineEndsAndByteOrderMark) {
  auto table = parse_csv(
      "\xEF\xBB\xBF"
      "a,b\r\n\"x, \"\"y\"\"\nz\",1\n\n,\n\"\",\"q\"",
      "t.csv");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_THAT(table->header, ElementsAre("a", "b"));
  EXPECT_THAT(table->rows,
              ElementsAre(ElementsAre("x, \"y\"\nz", "1"), ElementsAre("", ""), ElementsAre("", "q")));
  EXPECT_THAT(table->lines, ElementsAre(2, 5, 6));
  EXPECT_THAT(parse_csv("a\n\nb\n", "t")->rows, ElementsAre(ElementsAre(""), ElementsAre("b")));
  EXPECT_THAT(parse_csv("a\nx\"y\n", "t")->rows, ElementsAre(ElementsAre("x\"y")));
}

TEST(Csv, ErrorsNameSourceLineFoundAndExpected) {
  EXPECT_EQ(csv_error("").code, Code::kInvalidArgument);
  EXPECT_EQ(csv_error("\xEF\xBB\xBF").code, Code::kInvalidArgument);
  EXPECT_EQ(csv_error("a,b\n").code, Code::kInvalidArgument);
  EXPECT_EQ(csv_error("a,b\n1,2\n3\n").code, Code::kCorrupt);
  EXPECT_THAT(csv_error("a,b\n1,2\n3\n").message,
              AllOf(HasSubstr("t.csv: line 3"), HasSubstr("found 1 fields, expected 2")));
  EXPECT_THAT(csv_error("a,b\n\"1\n2\",2\n3,4,5\n").message, HasSubstr("line 4: found 3 fields"));
  EXPECT_THAT(csv_error("a,b\n1,\"2\n3,4\n").message, HasSubstr("line 2: found no end of the quoted field"));
  EXPECT_THAT(csv_error("a,b\n1,\"2\"3\n").message, HasSubstr("line 2: found text after a closing quote"));
  EXPECT_THAT(csv_error("a,b\n1,\xFF\n").message,
              AllOf(HasSubstr("line 2"), HasSubstr("0xff"), HasSubstr("offset 6")));
  EXPECT_THAT(csv_error(std::string_view("a,b\n1,\0\n", 8)).message, HasSubstr("0x00"));
}

TEST(Labelled, CsvAndJsonLines) {
  TemporaryFile csv("d.csv", "id,text,category\n1,hello,greet\n2,bye,part\n3,\"hi, you\",greet\n");
  auto data = load_labelled(csv.path, "text", "category");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_THAT(data->labels, ElementsAre("greet", "part"));
  EXPECT_EQ(data->examples[2].text, "hi, you");
  EXPECT_EQ(data->examples[2].label, 0);
  EXPECT_EQ(data->examples[2].line, 4U);
  EXPECT_EQ(data->sha256.size(), 64U);
  EXPECT_EQ(load_labelled(csv.path, "text", "")->examples[0].label, -1);
  EXPECT_EQ(load_labelled(csv.path, "text", "category", {"part", "greet", "other"})->examples[0].label, 1);

  TemporaryFile json("d.jsonl", "{\"t\":\"h\\u00e9\",\"l\":\"x\"}\n\n{\"t\":\"b\",\"l\":7}\n");
  auto lines = load_labelled(json.path, "t", "l");
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_THAT(lines->labels, ElementsAre("7", "x"));
  EXPECT_EQ(lines->examples[0].text, "h\xC3\xA9");
  EXPECT_EQ(lines->examples[1].line, 3U);
}

Error load_error(std::string_view name, std::string_view content,
                 const std::vector<std::string>& known = {}) {
  TemporaryFile file(name, content);
  auto data = load_labelled(file.path, "text", "label", known);
  return data ? Error{Code::kInternal, "loaded"} : data.error();
}

TEST(Labelled, Errors) {
  EXPECT_EQ(load_labelled("/nonexistent/x.csv", "text", "label").error().code, Code::kNotFound);
  EXPECT_EQ(load_error("e.txt", "x").code, Code::kUnsupported);
  Error missing = load_error("e.csv", "text,category\na,b\n");
  EXPECT_EQ(missing.code, Code::kNotFound);
  EXPECT_THAT(missing.message, HasSubstr("found columns \"text\", \"category\", expected \"label\""));
  EXPECT_EQ(load_error("e.csv", "text,text,label\na,b,c\n").code, Code::kCorrupt);
  EXPECT_THAT(load_error("e.csv", "text,label\na,b\n  ,c\n").message,
              HasSubstr("line 3: text: found an empty text"));
  EXPECT_THAT(load_error("e.csv", "text,label\na,\n").message,
              HasSubstr("line 2: label: found an empty label"));
  Error unknown = load_error("e.csv", "text,label\na,x\nb,y\n", {"x", "z"});
  EXPECT_EQ(unknown.code, Code::kInvalidArgument);
  EXPECT_THAT(unknown.message, HasSubstr("line 3: label: found \"y\""));
  EXPECT_EQ(load_error("e.csv", "text,label\na,x\n", {"x", "x"}).code, Code::kInvalidArgument);
  EXPECT_EQ(load_error("e.jsonl", "").code, Code::kInvalidArgument);
  EXPECT_THAT(load_error("e.jsonl", "{\"text\":\"a\",\"label\":\"b\"}\n{\"text\":\n").message,
              HasSubstr("line 2: found broken JSON"));
  EXPECT_THAT(load_error("e.jsonl", "[1]\n").message, HasSubstr("found array"));
  EXPECT_EQ(load_error("e.jsonl", "{\"text\":\"a\"}").code, Code::kNotFound);
  EXPECT_THAT(load_error("e.jsonl", "{\"text\":5,\"label\":\"a\"}").message,
              HasSubstr("found number, expected a string"));
  EXPECT_THAT(load_error("e.jsonl", "{\"text\":\"\xC3\",\"label\":\"a\"}").message, HasSubstr("0xc3"));
  EXPECT_EQ(load_error("e.jsonl", std::string(300000, '[')).code, Code::kCorrupt);
}

LabelledData numbered(int labels, int each) {
  LabelledData out;
  for (int l = 0; l < labels; ++l) {
    out.labels.push_back(fmt::format("l{:02}", l));
    for (int i = 0; i < each + l; ++i)
      out.examples.push_back({fmt::format("text {} {}", l, i), l, out.examples.size() + 2});
  }
  return out;
}

TEST(Labelled, SeveralColumnsAreOneInput) {
  const TemporaryFile table("several.csv", "title,body,label,a+b\nOne,first,x,p\nTwo,,y,q\n");
  auto data = load_labelled(table.path, "title+body", "label");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->examples[0].text, "One\nfirst");
  EXPECT_EQ(data->examples[1].text, "Two");
  data = load_labelled(table.path, "a+b", "label");  // a column of that name comes first
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->examples[0].text, "p");
  EXPECT_THAT(load_labelled(table.path, "title+none", "label").error().message, HasSubstr("\"none\""));
  const TemporaryFile lines("several.jsonl", "{\"t\":\"One\",\"b\":\"first\",\"label\":\"x\"}\n");
  data = load_labelled(lines.path, "b+t", "label");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->examples[0].text, "first\nOne");
}

TEST(Split, KeepsTheFirstOfEachLabel) {
  auto examples = numbered(3, 4).examples;  // 4, 5 and 6 of each
  const auto all = examples;
  keep_per_label(examples, 5);
  std::map<int32_t, int> counts;
  for (const auto& example : examples) ++counts[example.label];
  EXPECT_THAT(counts, ElementsAre(testing::Pair(0, 4), testing::Pair(1, 5), testing::Pair(2, 5)));
  EXPECT_EQ(examples[3].text, all[3].text);
  EXPECT_EQ(examples.back().text, all[13].text);
}

TEST(Split, SharesOfEveryLabelAndNoOverlap) {
  LabelledData data = numbered(7, 20);
  auto parts = split(data, {0.7, 0.2, 0.1}, 3);
  ASSERT_EQ(parts.size(), 3U);
  std::set<size_t> seen;
  std::map<int32_t, std::vector<int>> counts;
  for (size_t p = 0; p < 3; ++p) {
    for (const auto& example : parts[p]) {
      EXPECT_TRUE(seen.insert(example.line).second);
      counts[example.label].resize(3);
      ++counts[example.label][p];
    }
  }
  EXPECT_EQ(seen.size(), data.examples.size());
  EXPECT_THAT(counts[0], ElementsAre(14, 4, 2));
  EXPECT_THAT(counts[5], ElementsAre(18, 5, 2));  // 17.5, 5, 2.5
  auto half = split(data, {0.25, 0.25}, 3);
  EXPECT_NEAR(static_cast<double>(half[0].size() + half[1].size()),
              static_cast<double>(data.examples.size()) / 2, 7);
}

TEST(Split, SeedDecides) {
  LabelledData data = numbered(3, 30);
  auto lines = [&](uint64_t seed) {
    std::vector<size_t> out;
    const auto parts = split(data, {0.5, 0.5}, seed);
    for (const auto& example : parts[0]) out.push_back(example.line);
    return out;
  };
  EXPECT_EQ(lines(1), lines(1));
  EXPECT_NE(lines(1), lines(2));
  EXPECT_FALSE(std::ranges::is_sorted(lines(1)));
}

TEST(Split, EqualTextsStayTogether) {
  LabelledData data = numbered(4, 25);
  for (int i = 0; i < 40; ++i)
    data.examples.push_back({fmt::format("  TEXT {}\t{} ", i % 4, i % 25), (i + 1) % 4, 1000U + i});
  auto parts = split(data, {0.6, 0.4}, 9);
  std::map<std::string, size_t> where;
  for (size_t p = 0; p < parts.size(); ++p) {
    for (const auto& example : parts[p]) {
      std::string key;
      for (char c : example.text) {
        if (c != ' ' && c != '\t') key += static_cast<char>(std::tolower(c));
      }
      EXPECT_EQ(where.emplace(key, p).first->second, p) << example.text;
    }
  }
  EXPECT_EQ(parts[0].size() + parts[1].size(), data.examples.size());
}

TEST(Labelled, RealTickets) {
  std::string path = BANTAM_SOURCE_DIR "/../shared/data/banking77/train.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  auto data = load_labelled(path, "text", "category");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->labels.size(), 77U);
  EXPECT_EQ(data->examples.size(), 10003U);
  auto parts = split(*data, {0.8, 0.1, 0.1}, 1);
  EXPECT_EQ(parts[0].size() + parts[1].size() + parts[2].size(), 10003U);
  EXPECT_GE(parts[2].size(), 950U);
}

}  // namespace
}  // namespace bantam::formats
