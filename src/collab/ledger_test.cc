#include "collab/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "collab/keys.h"
#include "collab/postgres_for_test.h"
#include "collab/recorder.h"

namespace bantam::collab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A folder that is gone afterwards.
class LedgerFolder {
 public:
  LedgerFolder() {
    char name[] = "/tmp/bantam-ledger-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~LedgerFolder() { std::filesystem::remove_all(path); }
  std::string operator/(std::string_view name) const { return path + "/" + std::string(name); }
  std::string path;
};

LedgerRow row(std::string id, std::string key = "ci", std::string team = "t") {
  LedgerRow r;
  r.row = *random_id();
  r.id = std::move(id);
  r.time = 1'700'000'000'000'000;  // 2023-11-14
  r.key = std::move(key);
  r.team = std::move(team);
  r.strategy = "cascade";
  r.answered_by = "large";
  r.outcome = "answered";
  r.confidence = 0.25;
  r.local = {1, 10, 0, 2, 5};
  r.remote = {1, 100, 50, 20, 3'000'000'000};
  r.seconds = 0.5;
  r.steps = "[]";
  return r;
}

/// The same tests on both databases.
class LedgerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "sqlite") {
      url = folder / "ledger.db";
      return;
    }
    auto& server = PostgresForTest::shared();
    if (!server.running()) GTEST_SKIP() << server.why_not();
    url = server.fresh_database();
  }
  Ledger open() {
    auto made = Ledger::open(url);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  LedgerFolder folder;
  std::string url;
};

TEST_P(LedgerTest, KeepsRowsAndSumsThem) {
  Ledger ledger = open();
  auto first = row("a"), unverified = row("b", "ann"), failed = row("c", "ann", "other 'quoted' \xC3\xA9");
  unverified.outcome = "unverified";
  failed.outcome = "failed: timeout";
  failed.time += 86'400'000'000;
  failed.confidence.reset();
  ASSERT_TRUE(ledger.sql().begin(false));
  for (const auto& r : {first, unverified, failed, first}) {  // one of them twice, as after a lost connection
    auto added = ledger.add(r);
    ASSERT_TRUE(added) << added.error().message;
  }
  ASSERT_TRUE(ledger.sql().commit());
  EXPECT_THAT(*ledger.request_ids(), testing::UnorderedElementsAre("a", "b", "c"));
  auto sums = ledger.sums({{"day", "key"}, "", ""});
  ASSERT_TRUE(sums) << sums.error().message;
  ASSERT_EQ(sums->size(), 3u);
  EXPECT_THAT((*sums)[0].group, ElementsAre("2023-11-14", "ann"));
  EXPECT_THAT((*sums)[1].group, ElementsAre("2023-11-14", "ci"));
  EXPECT_THAT((*sums)[2].group, ElementsAre("2023-11-15", "ann"));
  EXPECT_EQ((*sums)[0].unverified, 1);
  EXPECT_EQ((*sums)[2].failed, 1);
  auto all = ledger.sums({{}, "2023-11-14", "2023-11-14"});
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ((*all)[0].requests, 2);
  EXPECT_EQ((*all)[0].remote.cost, 6'000'000'000);
  EXPECT_EQ((*all)[0].remote.cached_tokens, 100);
  EXPECT_EQ((*all)[0].local.prompt_tokens, 20);
  EXPECT_DOUBLE_EQ((*all)[0].seconds, 1.0);
  EXPECT_EQ((*ledger.sums({{}, "2030-01-01", ""}))[0].requests, 0);
  EXPECT_THAT(ledger.sums({{"id; DROP TABLE requests"}, "", ""}).error().message,
              HasSubstr("expected day, key"));
}

TEST_P(LedgerTest, TakesOverALedgerOfVersion1) {
  {
    Ledger ledger = open();
    ASSERT_TRUE(ledger.add(row("old")));
    for (const char* statement :
         {"ALTER TABLE requests DROP COLUMN drafted", "ALTER TABLE requests DROP COLUMN accepted",
          "ALTER TABLE requests DROP COLUMN certificate", "UPDATE bantam_schema SET version = 1"})
      ASSERT_TRUE(ledger.sql()(statement));
  }
  Ledger ledger = open();
  auto added = row("new");
  added.drafted = 30;
  added.accepted = 20;
  added.certificate = "broken";
  ASSERT_TRUE(ledger.add(added));
  auto sums = ledger.sums({{"certificate"}, "", ""});
  ASSERT_TRUE(sums) << sums.error().message;
  ASSERT_EQ(sums->size(), 2u);
  EXPECT_THAT((*sums)[0].group, ElementsAre(""));
  EXPECT_THAT((*sums)[1].group, ElementsAre("broken"));
  EXPECT_EQ((*sums)[1].drafted, 30);
  EXPECT_EQ((*sums)[1].accepted, 20);
  EXPECT_EQ((*sums)[0].drafted, 0);
  ASSERT_TRUE(ledger.sql()("INSERT INTO bantam_schema VALUES (99)"));
  auto later = Ledger::open(url);
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Code::kUnsupported);
}

TEST_P(LedgerTest, BudgetsAreExactAtTheLimit) {
  Ledger ledger = open();
  const std::string day = "2023-11-14";
  Limit key{"key:ci", 10, {}, to_nano(1.0)}, team{"team:t", {}, 2, {}};
  auto reserve = [&](const std::string& id, Amount amount, std::vector<Limit> limits, bool final = false) {
    EXPECT_TRUE(ledger.sql().begin(true));
    auto refused = ledger.reserve({id, day, amount, std::move(limits), final});
    EXPECT_TRUE(refused) << refused.error().message;
    EXPECT_TRUE(ledger.sql().commit());
    return *refused;
  };
  EXPECT_FALSE(reserve("1", {0, 1, to_nano(0.6)}, {key, team}));
  auto refused = reserve("2", {0, 1, to_nano(0.4) + 1}, {key, team});
  ASSERT_TRUE(refused);  // a billionth too much
  EXPECT_EQ(refused->scope, "key:ci");
  EXPECT_THAT(refused->message(day), HasSubstr("has 0.4 of 1 left"));
  EXPECT_EQ(ledger.charged("team:t", day)->remote_calls, 1);      // the refused one took nothing anywhere
  EXPECT_FALSE(reserve("1", {0, 1, to_nano(0.6)}, {key, team}));  // repeated: taken once
  EXPECT_FALSE(reserve("3", {0, 1, to_nano(0.4)}, {key, team}));
  EXPECT_TRUE(reserve("4", {0, 1, 0}, {key, team}));  // the team's calls are used up
  ASSERT_TRUE(ledger.settle("1", {0, 1, to_nano(0.1)}));
  ASSERT_TRUE(ledger.settle("1", {0, 1, to_nano(0.1)}));
  EXPECT_EQ(ledger.charged("key:ci", day)->money, to_nano(0.5));
  ASSERT_TRUE(ledger.settle("3", {0, 0, 0}));
  EXPECT_EQ(ledger.charged("key:ci", day)->money, to_nano(0.1));
  EXPECT_EQ(ledger.charged("team:t", day)->remote_calls, 1);
  EXPECT_TRUE(reserve("5", {0, 0, INT64_MAX}, {key}));
  // A limit that comes later counts what the ledger has of the day.
  ASSERT_TRUE(ledger.add(row("a", "late")));
  EXPECT_TRUE(reserve("6", {0, 0, 1}, {{"key:late", {}, {}, to_nano(3.0)}}));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(reserve("", {1, 0, 0}, {key}, true));
  EXPECT_EQ(reserve("", {1, 0, 0}, {key}, true)->what, "requests");
}

TEST_P(LedgerTest, BudgetsHoldWhenManyWritersAsk) {
  (void)open();
  const Limit limit{"team:t", 37, {}, {}};
  std::vector<std::thread> writers;
  std::atomic<int> granted = 0;
  for (int w = 0; w < 4; ++w) {  // as many processes would: a connection each
    writers.emplace_back([&] {
      auto recorder = Recorder::open({.url = url, .audit_path = {}, .sync = Sync::kProcess});
      ASSERT_TRUE(recorder) << recorder.error().message;
      for (int i = 0; i < 25; ++i) {
        Record record;
        record.reserve = Reservation{"", "2023-11-14", {1, 0, 0}, {limit}, true};
        auto outcome = (*recorder)->commit_now(std::move(record));
        ASSERT_TRUE(outcome) << outcome.error().message;
        granted += !outcome->has_value();
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(granted, 37);
  EXPECT_EQ(open().charged("team:t", "2023-11-14")->requests, 37);
}

TEST_P(LedgerTest, KeysAreStoredHashedAndFound) {
  Ledger ledger = open();
  auto made = make_key();
  ASSERT_TRUE(made);
  KeyRow key{"ci", made->id, made->hash, {"team", "m"}, {"key:ci", 5, {}, to_nano(2)}, 1};
  ASSERT_TRUE(ledger.add_key(key));
  EXPECT_EQ(ledger.add_key(key).error().code, Code::kInvalidArgument);
  auto keys = ledger.keys();
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 1u);
  const KeyRow& found = (*keys)[0];
  EXPECT_THAT(found.teams, ElementsAre("team", "m"));
  EXPECT_EQ(found.budget.requests, 5);
  EXPECT_EQ(found.budget.money, to_nano(2));
  EXPECT_FALSE(found.budget.remote_calls);
  EXPECT_EQ(found.hash.find(made->key), std::string::npos);
  EXPECT_EQ(find_key(*keys, made->key), &found);
  EXPECT_EQ(find_key(*keys, made->key + "x"), nullptr);
  EXPECT_EQ(find_key(*keys, made->key.substr(0, made->key.size() - 1)), nullptr);
  EXPECT_EQ(find_key(*keys, ""), nullptr);
  EXPECT_TRUE(*ledger.remove_key("ci"));
  EXPECT_FALSE(*ledger.remove_key("ci"));
}

TEST_P(LedgerTest, TheRecorderCommitsInOrderAndSaysWhatIsThere) {
  const std::string log = folder / "audit.jsonl";
  std::vector<std::string> ids;
  {
    auto recorder = Recorder::open({.url = url, .audit_path = log, .sync = Sync::kProcess});
    ASSERT_TRUE(recorder) << recorder.error().message;
    EXPECT_EQ(Recorder::open({.url = url, .audit_path = log}).error().code, Code::kUnavailable);
    for (int i = 0; i < 50; ++i) {
      Record record;
      record.row = row(fmt::format("r{}", i));
      record.events = {fmt::format(R"({{"type":"request","id":"r{}"}})", i)};
      ids.push_back(record.row->id);
      ASSERT_TRUE((*recorder)->commit_now(std::move(record)));
    }
    EXPECT_EQ((*recorder)->head()->lines, 51);
    Record bad;  // refused by the database, whatever came beside it is kept
    bad.row = row("bad");
    bad.row->steps = std::string("\xff", 1);
    (void)(*recorder)->commit_now(std::move(bad));
    Record good;
    good.row = row("good");
    ASSERT_TRUE((*recorder)->commit_now(std::move(good)));
  }
  Ledger ledger = open();
  auto found = ledger.request_ids();
  EXPECT_THAT(*found, testing::IsSupersetOf(ids));
  EXPECT_THAT(*found, testing::Contains("good"));
  auto name = audit_log_name(log);
  ASSERT_TRUE(name);
  auto head = ledger.head(*name);
  ASSERT_TRUE(head && *head);
  auto check = verify_audit(log, **head);
  ASSERT_TRUE(check);
  EXPECT_TRUE(check->findings.empty()) << check->findings[0].what;
  EXPECT_EQ(check->lines, 51);
}

TEST_P(LedgerTest, KeysAddedElsewhereAreSeenAndLogged) {
  const std::string log = folder / "audit.jsonl";
  auto recorder = Recorder::open({.url = url, .audit_path = log, .keys_every = std::chrono::milliseconds(5)});
  ASSERT_TRUE(recorder) << recorder.error().message;
  EXPECT_TRUE((*recorder)->keys()->empty());
  Ledger other = open();
  ASSERT_TRUE(other.add_key({"ci", "id", "hash", {}, {}, 1}));
  for (int i = 0; i < 2000 && (*recorder)->head()->lines < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ((*recorder)->keys()->size(), 1u);
  EXPECT_EQ((*recorder)->head()->lines, 2);
}

TEST_P(LedgerTest, ALostConnectionIsMadeAgainAndNothingIsTakenTwice) {
  if (std::string(GetParam()) == "sqlite") GTEST_SKIP() << "a file has no connection to lose";
  auto recorder = Recorder::open({.url = url, .audit_path = folder / "audit.jsonl", .sync = Sync::kProcess});
  ASSERT_TRUE(recorder) << recorder.error().message;
  const Limit limit{"team:t", 100, {}, {}};
  for (int i = 0; i < 3; ++i) {
    auto other = open_sql(url, Sync::kProcess);
    ASSERT_TRUE(other);
    ASSERT_TRUE(
        (**other)("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                  " WHERE pid <> pg_backend_pid() AND datname = current_database()"));
    Record record;
    record.row = row(fmt::format("r{}", i));
    record.reserve = Reservation{record.row->row, "2023-11-14", {1, 0, 0}, {limit}, false};
    record.events = {R"({"type":"request"})"};
    auto outcome = (*recorder)->commit_now(std::move(record));
    ASSERT_TRUE(outcome) << outcome.error().message;
  }
  EXPECT_EQ((*recorder)->head()->lines, 4);
  EXPECT_EQ(open().request_ids()->size(), 3u);
  EXPECT_EQ(open().charged("team:t", "2023-11-14")->requests, 3);
}

INSTANTIATE_TEST_SUITE_P(Databases, LedgerTest, testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Ledger, ShowsNoPassword) {
  EXPECT_EQ(shown_url("postgresql://me:secret@host:5432/db?password=x"), "postgresql://me@host:5432/db");
  EXPECT_EQ(shown_url("postgresql://host/db"), "postgresql://host/db");
  EXPECT_EQ(shown_url("ledger.db"), "ledger.db");
}

TEST(Ledger, RefusesWhatIsNoDatabase) {
  LedgerFolder folder;
  std::string path = folder / "x.db";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs(std::string(4096, 'x').c_str(), file);
  std::fclose(file);
  EXPECT_EQ(Ledger::open(path).error().code, Code::kCorrupt);
  EXPECT_EQ(Ledger::open(folder / "none/x.db").error().code, Code::kIo);
  EXPECT_EQ(Ledger::open_existing(folder / "none.db").error().code, Code::kNotFound);
  EXPECT_EQ(Ledger::open("postgresql://127.0.0.1:1/none").error().code, Code::kUnavailable);
}

TEST(Ledger, MoneyIsRoundedUpToBillionths) {
  EXPECT_EQ(to_nano(0.15e-6 * 1), 150);
  EXPECT_EQ(to_nano(0.1 + 0.2), 300'000'000);
  EXPECT_EQ(to_nano(1e-10), 1);
  EXPECT_EQ(to_nano(-1), 0);
  EXPECT_GT(to_nano(1e300), to_nano(1e9));
}

}  // namespace
}  // namespace bantam::collab
