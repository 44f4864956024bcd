#include "server/routing_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/scripted.h"
#include "server/config.h"

namespace bantam::server {
namespace {

using testing::HasSubstr;

Result<ServerConfig> parse_routing(const std::string& team) {
  return parse_config(
      "[[models]]\nname = \"a\"\npath = \"a.gguf\"\n[[models]]\nname = \"b\"\npath = \"b.gguf\"\n[[teams]]\n"
      "name = \"auto\"\nstrategy = \"routing\"\n" +
          team,
      "serve.toml", "/etc/bantam");
}

TEST(RoutingConfig, ReadsEveryKey) {
  const auto config = parse_routing(
      "models = [\"a\", \"b\"]\nrouter = \"r.gguf\"\ncost = 0.5\notherwise = \"a\"\nfall_back = "
      "false\nchange = 0.3\n"
      "stay = 60\nmost_conversations = 7\n"
      "rules = [\n  { model = \"a\", contains = [\"x\", \"y\"], max_bytes = 9 },\n  { model = \"b\", tools = "
      "true, format = "
      "false, min_bytes = 2, min_turns = 3 },\n]\n");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->teams[0].routing);
  const RoutingConfig& routing = *config->teams[0].routing;
  EXPECT_EQ(routing.models, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(routing.router, "/etc/bantam/r.gguf");
  EXPECT_EQ(routing.budget, 0.5);
  EXPECT_FALSE(routing.accuracy);
  const auto& options = routing.options;
  EXPECT_EQ(options.otherwise, "a");
  EXPECT_FALSE(options.fall_back);
  EXPECT_EQ(options.change, 0.3);
  EXPECT_EQ(options.stay, std::chrono::seconds(60));
  EXPECT_EQ(options.most_conversations, 7u);
  ASSERT_EQ(options.rules.size(), 2u);
  EXPECT_EQ(options.rules[0].contains, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(options.rules[0].max_bytes, 9u);
  EXPECT_EQ(options.rules[1].tools, true);
  EXPECT_EQ(options.rules[1].format, false);
  EXPECT_EQ(options.rules[1].min_turns, 3u);
}

TEST(RoutingConfig, RefusesWhatMakesNoSense) {
  const std::pair<const char*, const char*> cases[] = {
      {"models = [\"a\"]\nrouter = \"r\"\n", "at least two"},
      {"models = [\"a\", \"c\"]\nrouter = \"r\"\n",
       "found \"c\", expected the name of one of the [[models]]"},
      {"models = [\"a\", \"b\"]\n", "neither a router nor rules"},
      {"models = [\"a\", \"b\"]\nrouter = \"r\"\ncost = 1\nquality = 0.5\n", "more than one of"},
      {"models = [\"a\", \"b\"]\nrules = [{ model = \"a\" }]\naccuracy = 0.9\n", "router: found none"},
      {"models = [\"a\", \"b\"]\nrules = [{ model = \"a\", contain = [\"x\"] }]\n", "contain"},
      {"models = [\"a\", \"b\"]\nrules = [{ contains = [\"x\"] }]\n", "expected a name"},
      {"models = [\"a\", \"b\"]\nrouter = \"r\"\nslm = \"a\"\n", "slm"},
  };
  for (const auto& [text, said] : cases) {
    const auto config = parse_routing(text);
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr(said)) << text;
  }
}

TEST(RoutingConfig, ATeamOfRulesAloneOpensAndAMissingRouterIsAnError) {
  RoutingConfig config;
  config.models = {"a", "b"};
  config.options.rules.push_back({.model = "a"});
  const auto models = [] {
    return std::vector<std::shared_ptr<chat::ChatModel>>{std::make_shared<chat::ScriptedModel>("a"),
                                                         std::make_shared<chat::ScriptedModel>("b")};
  };
  auto team = open_routing("auto", config, models());
  ASSERT_TRUE(team) << team.error().message;
  EXPECT_EQ((*team)->name(), "auto");
  config.router = "no-such-file.gguf";
  EXPECT_THAT(open_routing("auto", config, models()).error().message, HasSubstr("no-such-file.gguf"));
}

}  // namespace
}  // namespace bantam::server
