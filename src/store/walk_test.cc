#include "store/walk.h"

#include <gmock/gmock.h>

#include <deque>

namespace bantam::store {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Answers that need no network; what it was asked is in `asked`.
class Servers : public net::HttpClient {
 public:
  net::Awaitable<Result<net::ClientResponse>> send(const net::ClientRequest& request, net::CallTrace*) override {
    asked.push_back(fmt::format("{}{} {}", request.url.authority(), request.url.target,
                                request.headers.get("authorization").value_or("-")));
    net::ClientResponse out;
    out.status = 200;
    if (!locations.empty()) {
      out.status = 302;
      out.headers.set("location", locations.front());
      locations.pop_front();
    }
    co_return out;
  }
  std::deque<std::string> locations;
  std::vector<std::string> asked;
};

std::vector<std::string> asked_of(const char* url, std::deque<std::string> locations) {
  Servers servers;
  servers.locations = std::move(locations);
  FetchOptions options;
  options.token = "t";
  options.token_for = net::parse_url("https://hub.example/base/").value();
  Walk what;
  what.url = net::parse_url(url).value();
  net::CallTrace trace;
  EXPECT_TRUE(net::wait(walk(servers, what, options, trace)));
  return servers.asked;
}

TEST(Token, GoesToTheRegistrysOriginOnly) {
  EXPECT_THAT(asked_of("https://hub.example/a", {"/b", "https://hub.example:8443/c", "https://cdn.example/d",
                                                 "https://HUB.example:443/e", "https://hub.example.evil/f"}),
              testing::ElementsAre("hub.example/a Bearer t", "hub.example/b Bearer t", "hub.example:8443/c -",
                                   "cdn.example/d -", "hub.example/e Bearer t", "hub.example.evil/f -"));
  EXPECT_THAT(asked_of("https://cdn.example/a", {}), testing::ElementsAre("cdn.example/a -"));
  // Without a registry it goes nowhere.
  FetchOptions none;
  none.token = "t";
  Servers servers;
  Walk what;
  what.url = net::parse_url("https://hub.example/a").value();
  net::CallTrace trace;
  EXPECT_TRUE(net::wait(walk(servers, what, none, trace)));
  EXPECT_THAT(servers.asked, testing::ElementsAre("hub.example/a -"));
}

/// Ends as `outcomes` say, one after the other, the last one again and again.
struct Attempts {
  std::deque<Outcome> outcomes = {};
  unsigned tries = 0;
  std::vector<std::string> notes = {};
  FetchOptions options = {};

  Status run() {
    options.first_pause = 1ms;
    options.note = [this](const std::string& note) { notes.push_back(note); };
    const std::function<net::Awaitable<Outcome>()> attempt = [this]() -> net::Awaitable<Outcome> {
      ++tries;
      Outcome out = outcomes.front();
      if (outcomes.size() > 1) outcomes.pop_front();
      co_return out;
    };
    return net::wait(try_again(attempt, options));
  }
};

Outcome broken(bool progress = false, std::optional<std::chrono::milliseconds> pause = 0ms) {
  Outcome out;
  out.status = fail(Code::kUnavailable, "broken");
  out.again = true;
  out.progress = progress;
  out.pause = pause;
  return out;
}

TEST(TryAgain, ProgressResetsTheCountOfFailures) {
  Attempts attempts{.outcomes = {broken()}};
  attempts.options.retries = 3;
  EXPECT_EQ(attempts.run().error().message, "broken");
  EXPECT_EQ(attempts.tries, 4U);
  Attempts going{.outcomes = {broken(), broken(), broken(), broken(true), broken(), broken(), Outcome{}}};
  going.options.retries = 3;
  EXPECT_TRUE(going.run());
  EXPECT_EQ(going.tries, 7U);
}

TEST(TryAgain, AllAttemptsTogetherAreBounded) {
  Attempts attempts{.outcomes = {broken(true)}};
  attempts.options.most_tries = 20;
  EXPECT_THAT(attempts.run().error().message, HasSubstr("broken; found 20 broken attempts"));
  EXPECT_EQ(attempts.tries, 20U);
}

TEST(TryAgain, TimeThatBringsNothingIsBoundedThoughOthersBringSome) {
  Attempts attempts{.outcomes = {}};
  for (int i = 0; i < 100; ++i) attempts.outcomes.push_back(broken(i % 2 == 0, 10ms));
  attempts.options.longest_idle = 35ms;
  EXPECT_THAT(attempts.run().error().message, HasSubstr("that bring nothing"));
  EXPECT_EQ(attempts.tries, 4U);
}

TEST(TryAgain, AServersWishForAPauseIsObeyedUpToALimit) {
  Attempts obeys{.outcomes = {broken(false, 30ms), Outcome{}}};
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(obeys.run());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  Attempts refuses{.outcomes = {broken(false, 2s)}};
  refuses.options.longest_pause = 1s;
  EXPECT_THAT(refuses.run().error().message, HasSubstr("asks to wait for 2 s, expected at most 1"));
  EXPECT_EQ(refuses.tries, 1U);
  // Our own pauses are never longer than what a server may ask for.
  Attempts impatient{.outcomes = {broken(false, std::nullopt)}};
  impatient.options.retries = 2;
  impatient.options.longest_pause = 0ms;
  EXPECT_EQ(impatient.run().error().message, "broken");
  EXPECT_EQ(impatient.tries, 3U);
}

}  // namespace
}  // namespace bantam::store
