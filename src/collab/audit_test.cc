#include "collab/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/hash.h"

namespace bantam::collab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

/// A log of ten entries after its first, with its anchor.
class Audit : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bantam-audit-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/audit.jsonl";
    ledger.emplace(std::move(*Ledger::open(folder + "/ledger.db", Sync::kProcess)));
    write(10);
    lines = lines_of(path);
    ASSERT_EQ(lines.size(), 11u);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  /// Appends entries as a server does, and returns what open() said when it refused.
  std::string write(int entries) {
    auto log = AuditLog::open(path, *ledger);
    if (!log) return log.error().message;
    std::vector<std::string> events;
    for (int i = 0; i < entries; ++i) events.push_back(fmt::format(R"({{"type":"request","n":{}}})", i));
    EXPECT_TRUE(log->append(events, Sync::kProcess));
    head = log->head();
    EXPECT_TRUE(ledger->set_head(head));
    return "";
  }
  /// What is found in a file of these lines.
  std::vector<std::string> check(const std::vector<std::string>& changed, bool anchored = true) {
    std::string text;
    for (const std::string& line : changed) text += line + "\n";
    AuditVerifier verifier(anchored ? std::optional(head) : std::nullopt);
    for (size_t i = 0; i < text.size(); i += 7) verifier.feed(std::string_view(text).substr(i, 7));
    std::vector<std::string> out;
    for (const auto& finding : verifier.finish().findings)
      out.push_back(fmt::format("{}: {}", finding.line, finding.what));
    return out;
  }

  std::string folder, path;
  std::optional<Ledger> ledger;
  std::vector<std::string> lines;
  AuditHead head;
};

TEST_F(Audit, AnUntouchedLogIsIntactAndGoesOn) {
  EXPECT_THAT(check(lines), IsEmpty());
  EXPECT_EQ(write(3), "");
  lines = lines_of(path);
  EXPECT_EQ(lines.size(), 14u);
  EXPECT_THAT(check(lines), IsEmpty());
}

TEST_F(Audit, AChangeOfAnyByteOfAnyLineIsFound) {
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t k = 0; k < lines[i].size(); k += 5) {
      auto changed = lines;
      changed[i][k] = changed[i][k] == '1' ? '2' : '1';
      auto found = check(changed);
      ASSERT_FALSE(found.empty()) << changed[i];
      EXPECT_THAT(found[0], testing::AnyOf(HasSubstr(fmt::format("{}: ", i + 1)),
                                           HasSubstr(fmt::format("{}: ", i + 2))))
          << changed[i];
    }
  }
}

TEST_F(Audit, AnEditWithANewHashIsFoundByTheNextLine) {
  auto changed = lines;
  size_t end = changed[5].rfind(R"(,"hash")");
  std::string body = changed[5].substr(0, end);
  body[body.find(R"("n":4)") + 4] = '7';
  changed[5] = body + R"(,"hash":")" + sha256_hex(body) + "\"}";
  auto found = check(changed);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("6: edited or exchanged: entry 7 was written after one with another hash"));
}

TEST_F(Audit, DeletionsAreFoundWithTheirNumber) {
  auto changed = lines;
  changed.erase(changed.begin() + 4);
  EXPECT_THAT(check(changed)[0], HasSubstr("5: found entry 6, expected entry 5: entry 5 was deleted"));
  changed.erase(changed.begin() + 4);
  EXPECT_THAT(check(changed)[0],
              HasSubstr("5: found entry 7, expected entry 5: entries 5 to 6 were deleted"));
  changed = {lines.begin() + 1, lines.end()};
  EXPECT_THAT(check(changed)[0], HasSubstr("1: found entry 2, expected entry 1"));
}

TEST_F(Audit, SwapsAndRepetitionsAreFound) {
  auto changed = lines;
  std::swap(changed[4], changed[5]);
  auto found = check(changed);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0], HasSubstr("5: found entry 6, expected entry 5"));
  EXPECT_THAT(found[1], HasSubstr("6: found entry 5"));
  EXPECT_THAT(found[1], HasSubstr("moved or repeated"));
  changed = lines;
  changed.insert(changed.begin() + 7, lines[2]);
  found = check(changed);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("8: found entry 3"));
}

TEST_F(Audit, TruncationIsFoundByTheAnchor) {
  auto changed = lines;
  changed.pop_back();
  EXPECT_THAT(check(changed, false), IsEmpty());  // a chain alone cannot tell
  EXPECT_THAT(check(changed)[0], HasSubstr("11: truncated: the last entry is 10, and 11 were acknowledged"));
  EXPECT_THAT(check({})[0], HasSubstr("1: truncated"));
}

TEST_F(Audit, AChainMadeAnewIsFoundByTheAnchor) {
  std::filesystem::remove(path);
  auto other = Ledger::open(folder + "/other.db", Sync::kProcess);
  ASSERT_TRUE(other);
  auto log = AuditLog::open(path, *other);
  ASSERT_TRUE(log);
  ASSERT_TRUE(log->append(std::vector<std::string>(10, R"({"type":"request"})"), Sync::kProcess));
  auto found = check(lines_of(path));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0], HasSubstr("11: edited: its hash is not the one that was acknowledged"));
  EXPECT_THAT(found[1], HasSubstr("1: found the log"));
}

TEST_F(Audit, AnAlteredLogIsNotContinued) {
  auto rewrite = [&](const std::vector<std::string>& to) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    for (const std::string& line : to) file << line << "\n";
  };
  auto changed = lines;
  changed[3][changed[3].size() / 2] ^= 1;
  rewrite(changed);
  EXPECT_THAT(write(1), HasSubstr("line 4"));
  rewrite({lines.begin(), lines.end() - 1});
  EXPECT_THAT(write(1), HasSubstr("truncated"));
  rewrite({});
  EXPECT_THAT(write(1), HasSubstr("found no log, expected the log"));
  rewrite(lines);
  EXPECT_EQ(write(1), "");
}

TEST_F(Audit, AWriteThatACrashCutOffIsRemovedAndSaid) {
  std::ofstream(path, std::ios::binary | std::ios::app) << lines[10].substr(0, 30);
  EXPECT_EQ(write(1), "");
  auto now = lines_of(path);
  ASSERT_EQ(now.size(), 13u);
  EXPECT_THAT(now[11], HasSubstr(R"("type":"recovered","dropped_bytes":30)"));
  EXPECT_THAT(check(now), IsEmpty());
}

TEST_F(Audit, WholeLinesBeyondTheAnchorAreFine) {
  AuditHead earlier = head;
  EXPECT_EQ(write(2), "");
  head = earlier;
  EXPECT_THAT(check(lines_of(path)), IsEmpty());
}

TEST_F(Audit, HostileBytes) {
  EXPECT_THAT(check({std::string(3 << 20, 'x')}, false)[0], HasSubstr("longer than"));
  EXPECT_THAT(check({"", "{}", "\"}"}, false).size(), 3u);
  std::vector<std::string> many(5000, "x");
  EXPECT_EQ(check(many, false).size(), 1000u);
}

}  // namespace
}  // namespace bantam::collab
