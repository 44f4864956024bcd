// kill -9 at 50 random moments under load: every request that was answered stands in the ledger and in the
// audit log, and the chain verifies; then the log is altered in every way, and each is found.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "collab/audit.h"
#include "model/random_model.h"
#include "program.h"

namespace bantam::tests {
namespace {

using testing::HasSubstr;

constexpr int kKills = 50;
constexpr int kClients = 4;

class Kill : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/bantam-kill-XXXXXX";
    folder = ::mkdtemp(name);
    ASSERT_TRUE(model::write_random_model(folder + "/small.gguf", model::tiny_config(64), tensor::DType::kF32,
                                          1, {"yes", "no"}));
    std::ofstream(folder + "/serve.toml") << R"(
server.port = 0
ledger = { url = "ledger.db", audit = "audit.jsonl" }
budget = { requests = 1000000 }
[[models]]
name = "small"
path = "small.gguf"
)";
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder); }
  static std::string folder;
  std::string file(const char* name) const { return folder + "/" + name; }
};
std::string Kill::folder;

/// Asks until the server is gone; the ids of what was answered whole.
void ask_on(uint16_t port, std::atomic<bool>& stop, std::mutex& mutex, std::vector<std::string>& answered) {
  while (!stop) {
    std::string reply = post(port, R"({"model":"small","messages":[{"role":"user","content":"hello"}]})");
    size_t body = reply.find("\r\n\r\n");
    if (!reply.starts_with("HTTP/1.1 200") || body == std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    auto json = nlohmann::json::parse(reply.substr(body + 4), nullptr, false);
    size_t id = reply.find("x-request-id: ");
    if (json.is_discarded() || id == std::string::npos) continue;
    std::lock_guard lock(mutex);
    answered.push_back(reply.substr(id + 14, reply.find('\r', id) - id - 14));
  }
}

TEST_F(Kill, WhatWasAnsweredIsThere) {
  std::mt19937_64 random(7);
  std::mutex mutex;
  std::vector<std::string> answered;
  for (int round = 0; round < kKills; ++round) {
    Program server(file("serve.toml"), file("log.txt"));
    ASSERT_NE(server.port(), 0) << server.log();
    std::atomic<bool> stop = false;
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i)
      clients.emplace_back([&] { ask_on(server.port(), stop, mutex, answered); });
    std::this_thread::sleep_for(std::chrono::microseconds(20'000 + random() % 300'000));
    server.end(SIGKILL);
    stop = true;
    for (auto& client : clients) client.join();
  }
  ASSERT_GT(answered.size(), 100u);
  auto ledger = collab::Ledger::open(file("ledger.db"));
  ASSERT_TRUE(ledger) << ledger.error().message;
  auto ids = ledger->request_ids();
  ASSERT_TRUE(ids);
  std::set<std::string> rows(ids->begin(), ids->end());
  std::set<std::string> entries;
  std::ifstream log(file("audit.jsonl"));
  int unfinished = 0;
  for (std::string line; std::getline(log, line);) {
    unfinished += line.find(R"("type":"recovered")") != std::string::npos;
    auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_discarded() && json["event"]["type"] == "request") entries.insert(json["event"]["id"]);
  }
  size_t lost_rows = 0, lost_entries = 0;
  for (const std::string& id : answered) {
    lost_rows += !rows.contains(id);
    lost_entries += !entries.contains(id);
  }
  fmt::print("{} kills, {} requests answered, {} rows, {} entries, {} unfinished lines dropped\n", kKills,
             answered.size(), rows.size(), entries.size(), unfinished);
  EXPECT_EQ(lost_rows, 0u);
  EXPECT_EQ(lost_entries, 0u);
  std::string said;
  EXPECT_EQ(run_bantam({"audit", "verify", file("audit.jsonl"), "--ledger", file("ledger.db")}, said), 0)
      << said;
  EXPECT_THAT(said, HasSubstr("intact"));
  // No row without its request, however often the process died: sums agree.
  auto sums = ledger->sums({});
  ASSERT_TRUE(sums);
  EXPECT_EQ(static_cast<size_t>(sums->at(0).requests), ids->size());
}

TEST_F(Kill, EditsDeletionsSwapsAndTruncationAreFoundAndNamed) {
  std::vector<std::string> lines;
  std::ifstream log(file("audit.jsonl"));
  for (std::string line; std::getline(log, line);) lines.push_back(line);
  ASSERT_GT(lines.size(), 20u);
  std::mt19937_64 random(11);
  auto verify = [&](const std::vector<std::string>& changed, std::string& said) {
    std::ofstream out(file("altered.jsonl"), std::ios::trunc);
    for (const std::string& line : changed) out << line << "\n";
    out.close();
    return run_bantam({"audit", "verify", file("altered.jsonl"), "--ledger", file("ledger.db")}, said);
  };
  std::string said;
  ASSERT_EQ(verify(lines, said), 0) << said;
  for (int i = 0; i < 10; ++i) {
    size_t at = 1 + random() % (lines.size() - 2);
    auto edited = lines;
    char& c = edited[at][random() % edited[at].size()];
    c = c == 'x' ? 'y' : 'x';
    EXPECT_EQ(verify(edited, said), 1);
    EXPECT_THAT(said, testing::AnyOf(HasSubstr(fmt::format("line {}: edited", at + 1)),
                                     HasSubstr(fmt::format("line {}: found", at + 1))));
    auto deleted = lines;
    deleted.erase(deleted.begin() + static_cast<long>(at));
    EXPECT_EQ(verify(deleted, said), 1);
    EXPECT_THAT(said, testing::AnyOf(HasSubstr(fmt::format("line {}: found entry {}", at + 1, at + 2)),
                                     HasSubstr("truncated")));
    auto swapped = lines;
    std::swap(swapped[at], swapped[at - 1 + 2 * (at == 1)]);
    EXPECT_EQ(verify(swapped, said), 1);
    auto cut = lines;
    cut.resize(lines.size() - 1 - random() % 10);
    // Entries that were not acknowledged before the last kill may be missing; acknowledged ones may not.
    auto name = collab::audit_log_name(file("audit.jsonl"));
    auto head = collab::Ledger::open(file("ledger.db"))->head(*name);
    bool acknowledged = cut.size() < static_cast<size_t>((*head)->lines);
    EXPECT_EQ(verify(cut, said), acknowledged ? 1 : 0) << said;
    if (acknowledged) {
      EXPECT_THAT(said, HasSubstr("truncated"));
    }
  }
}

}  // namespace
}  // namespace bantam::tests
