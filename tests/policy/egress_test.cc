// A team whose policy is "deny", in a network namespace of its own without a way out: it answers, and no
// packet leaves. The same with "allow" shows that the count would have seen one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "model/random_model.h"
#include "program.h"

namespace bantam::tests {
namespace {

using testing::HasSubstr;

/// Packets that were handed to an interface for sending, dropped ones too.
long sent_packets(const std::string& interface) {
  std::istringstream lines(file_text("/proc/thread-self/net/dev"));
  for (std::string line; std::getline(lines, line);) {
    size_t at = line.find(interface + ":");
    if (at == std::string::npos) continue;
    std::istringstream fields(line.substr(at + interface.size() + 1));
    long value = 0, sum = 0;
    for (int i = 0; i < 12 && fields >> value; ++i) {
      if (i == 9 || i == 10 || i == 11) sum += value;  // packets, errors, drops on the sending side
    }
    return sum;
  }
  return -1;
}

bool quiet(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

class EgressTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bantam-egress-XXXXXX";
    folder = ::mkdtemp(name);
    // For this thread and the processes it starts.
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "a network namespace cannot be made here";
    if (!quiet("ip link set lo up")) GTEST_SKIP() << "loopback cannot be set up in the namespace (ip)";
    ASSERT_TRUE(model::write_random_model(folder + "/small.gguf", model::tiny_config(64), tensor::DType::kF32,
                                          1, {"yes", "no"}));
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  /// The reply of a team whose small model is never sure enough, so that the large one is wanted.
  std::string ask(const std::string& policy, const std::string& url) {
    std::ofstream(folder + "/serve.toml") << fmt::format(R"(
server.port = 0
[[models]]
name = "small"
path = "small.gguf"
[[models]]
name = "large"
url = "{}"
max_retries = 0
connect_timeout = 1
answer_timeout = 1
[[teams]]
name = "team"
slm = "small"
llm = "large"
threshold = 1.0
egress = "{}"
)",
                                                         url, policy);
    Program server(folder + "/serve.toml", folder + "/log.txt");
    EXPECT_NE(server.port(), 0) << server.log();
    std::string reply =
        post(server.port(), R"({"model":"team","messages":[{"role":"user","content":"hello"}]})");
    EXPECT_NE(reply, "") << server.log();
    return reply;
  }
  std::string folder;
};

const char* const kUrls[] = {"http://192.0.2.1:9/v1",
                             "http://large.example/v1"};  // one by number, one to look up

TEST_F(EgressTest, WithoutAWayOutTheTeamAnswers) {
  for (const char* url : kUrls) {
    std::string reply = ask("deny", url);
    EXPECT_THAT(reply, HasSubstr("HTTP/1.1 200"));
    EXPECT_THAT(reply, HasSubstr(R"("unverified":true)"));
    EXPECT_THAT(reply, HasSubstr("egress: 'team' sends nothing to 'large'"));
  }
}

TEST_F(EgressTest, NoPacketLeavesEvenWhereThereIsAWay) {
  // A device that swallows what it is given, as the only way out.
  bool way = quiet("ip link add out0 type dummy") || quiet("ip link add out0 type veth peer name out1");
  if (!way) GTEST_SKIP() << "no network device of a kind that counts can be made here";
  quiet("ip link set out1 up");
  quiet("sysctl -w net.ipv6.conf.out0.disable_ipv6=1");
  ASSERT_TRUE(quiet("ip addr add 198.51.100.2/24 dev out0") && quiet("ip link set out0 up arp off") &&
              quiet("ip route add default dev out0"));
  long before = sent_packets("out0");
  ASSERT_GE(before, 0);
  for (const char* url : kUrls) EXPECT_THAT(ask("deny", url), HasSubstr("HTTP/1.1 200"));
  long denied = sent_packets("out0") - before;
  ask("allow", kUrls[0]);
  long allowed = sent_packets("out0") - before - denied;
  fmt::print("packets that left: {} with deny, {} with allow\n", denied, allowed);
  EXPECT_EQ(denied, 0);
  EXPECT_GT(allowed, 0);
}

}  // namespace
}  // namespace bantam::tests
