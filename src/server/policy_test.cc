#include "server/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/hash.h"
#include "collab/keys.h"
#include "model/random_model.h"
#include "net/json.h"
#include "net/raw_socket_for_test.h"
#include "server/config.h"
#include "server/server_for_test.h"

namespace bantam::server {
namespace {

using testing::HasSubstr;
using testing::Not;

Result<ServerConfig> parse_policy(const std::string& more, const std::string& directory = ".") {
  return parse_config("[[models]]\nname = \"m\"\npath = \"m.gguf\"\n" + more, "serve.toml", directory);
}

TEST(PolicyConfig, ReadsWhatTheDocumentationSays) {
  auto config = parse_policy(R"(egress = "deny"
budget = { money = 5, remote_calls = 100 }
[ledger]
url = "postgresql://me@host/db"
audit = "audit.jsonl"
sync = "process"
keys = true
[budget]
money = 0.5
requests = 7
answer_tokens = 99
[egress]
policy = "redact"
[redaction]
types = ["email"]
explain = false
patterns = [{ name = "ID", pattern = "x[0-9]" }]
[[keys]]
name = "ci"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
teams = ["m"]
budget = { requests = 3 }
)",
                             "dir");
  ASSERT_TRUE(config) << config.error().message;
  const PolicyConfig& policy = config->policy;
  EXPECT_EQ(policy.ledger, "postgresql://me@host/db");
  EXPECT_EQ(policy.audit, "dir/audit.jsonl");
  EXPECT_EQ(policy.sync, collab::Sync::kProcess);
  EXPECT_TRUE(policy.ledger_keys);
  EXPECT_EQ(policy.budget->money, collab::to_nano(0.5));
  EXPECT_EQ(policy.budget->requests, 7);
  EXPECT_EQ(policy.answer_tokens, 99u);
  EXPECT_EQ(policy.egress, collab::Egress::kRedact);
  EXPECT_EQ(policy.members.at("m").egress, collab::Egress::kDeny);
  EXPECT_EQ(policy.members.at("m").budget->remote_calls, 100);
  EXPECT_EQ(policy.redaction.patterns.at(0).name, "ID");
  EXPECT_FALSE(policy.explain);
  EXPECT_EQ(policy.keys.at(0).budget->requests, 3);
}

TEST(PolicyConfig, RefusesWhatCannotBe) {
  for (auto [text, message] : {std::pair("[budget]\nmoney = 1\n", "needs a ledger"),
                               std::pair("[ledger]\nkeys = true\n", "needs ledger.url"),
                               std::pair("[ledger]\naudit = \"a\"\n", "needs ledger.url"),
                               std::pair("[egress]\npolicy = \"maybe\"\n", "expected \"allow\""),
                               std::pair("[ledger]\nurl = \"a\"\nsync = \"no\"\n", "expected \"disk\""),
                               std::pair("[redaction]\nnames = \"none.txt\"\n", "none.txt"),
                               std::pair("[ledger]\nurl_env = \"BANTAM_NOT_SET\"\n", "is not set"),
                               std::pair("[[keys]]\nname = \"a\"\nsha256 = \"12\"\n", "64 hexadecimal"),
                               std::pair("[ledger]\nfile = \"a\"\n", "file")}) {
    auto config = parse_policy(text);
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr(message)) << text;
  }
  auto config = parse_policy(
      "[[keys]]\nname = \"a\"\nteams = [\"other\"]\nsha256 = "
      "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("no model or team"));
}

/// A server of two small models with a ledger, keys and budgets.
class PolicyServer : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bantam-policy-XXXXXX";
    folder_ = ::mkdtemp(name);
    ASSERT_TRUE(model::write_random_model(folder_ + "/m.gguf", model::tiny_config(64), tensor::DType::kF32, 1,
                                          {"yes", "no"}));
    auto config = parse_policy(R"([[models]]
name = "other"
path = "m.gguf"
budget = { requests = 1 }
[server]
port = 0
[ledger]
url = "ledger.db"
audit = "audit.jsonl"
sync = "process"
keys = true
[[keys]]
name = "ci"
teams = ["m"]
budget = { requests = 2 }
sha256 = ")" + sha256_hex("key-of-ci") +
                                   "\"\n",
                               folder_);
    ASSERT_TRUE(config) << config.error().message;
    server_ = std::make_unique<RunningServer>(*config);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string send(const std::string& method, const std::string& path, const std::string& key,
                   const std::string& body = "") {
    std::string url = server_->url();
    auto s = net::RawSocket::connect(static_cast<uint16_t>(std::stoul(url.substr(url.rfind(':') + 1))));
    s.send(
        fmt::format("{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n"
                    "content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
                    method, path, key, body.size(), body));
    return s.read_all();
  }
  std::string ask(const std::string& key, const std::string& model = "m") {
    return send("POST", "/v1/chat/completions", key,
                fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"x"}}]}})", model));
  }
  collab::Ledger ledger() { return std::move(*collab::Ledger::open(folder_ + "/ledger.db")); }

  std::string folder_;
  std::unique_ptr<RunningServer> server_;
};

TEST_F(PolicyServer, AKeyMayAskItsModelsWithinItsBudget) {
  EXPECT_THAT(ask("wrong"), HasSubstr("401"));
  EXPECT_THAT(ask("key-of-ci", "other"), HasSubstr("model_not_found"));
  EXPECT_THAT(send("GET", "/v1/models", "key-of-ci"), Not(HasSubstr("other")));
  EXPECT_THAT(ask("key-of-ci"), HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(ask("key-of-ci"), HasSubstr("HTTP/1.1 200"));
  std::string refused = ask("key-of-ci");
  EXPECT_THAT(refused, HasSubstr("HTTP/1.1 429"));
  EXPECT_THAT(refused, HasSubstr("insufficient_quota"));
  EXPECT_THAT(refused, HasSubstr("x-should-retry: false"));
  auto sums = ledger().sums({{"key", "outcome"}, "", ""});
  ASSERT_TRUE(sums);
  ASSERT_EQ(sums->size(), 2u);
  EXPECT_THAT(sums->at(0).group, testing::ElementsAre("ci", "answered"));
  EXPECT_EQ(sums->at(0).requests, 2);
  EXPECT_THAT(sums->at(1).group, testing::ElementsAre("ci", "refused"));
}

TEST_F(PolicyServer, KeysOfTheLedgerComeAndGo) {
  auto key = collab::make_key();
  ASSERT_TRUE(key);
  EXPECT_THAT(ask(key->key), HasSubstr("401"));
  ASSERT_TRUE(ledger().add_key({"ann", key->id, key->hash, {}, {}, 1}));
  std::string reply;
  for (int i = 0; i < 600 && !reply.starts_with("HTTP/1.1 200"); ++i) {
    reply = ask(key->key, "other");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_THAT(reply, HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(ask(key->key, "other"), HasSubstr("HTTP/1.1 429"));  // one request a day, whoever asks
  EXPECT_TRUE(*ledger().remove_key("ann"));
  for (int i = 0; i < 600 && !reply.starts_with("HTTP/1.1 401"); ++i) {
    reply = ask(key->key);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_THAT(reply, HasSubstr("401"));
}

}  // namespace
}  // namespace bantam::server
