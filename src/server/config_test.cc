#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bantam::server {
namespace {

using testing::HasSubstr;

constexpr const char* kWhole = R"(
[server]
host = "0.0.0.0"
certificate = "c.pem"
private_key = "/k.pem"
port = 9000
api_key_env = "KEY"
max_queue = 5
io_threads = 3
request_timeout = 1.5
cors_origins = ["https://a.example"]

[[models]]
name = "small"
path = "models/small.gguf"
threads = 2
context = 512
lora = ["a.gguf", "/b.gguf:-0.5"]
context_shift = true
cache_mb = 300
kv_cache = "q8_0"
prices = { prompt = 0.01, completion = 0.02 }

[[models]]
name = "large"
url = "https://api.example.com/v1"
model = "llm-1"
key_env = "LLM_KEY"
choices = "guided_choice"
breaker_failures = 2
max_calls_per_request = 3
max_cost_per_day = 1.5
prices = { prompt = 2.5, completion = 10 }

[[models]]
name = "replay"
recording = "r.jsonl"
pace = 0

[[teams]]
name = "team"
strategy = "cascade"
slm = "small"
llm = "large"
threshold = 0.9
on_llm_failure = "error"
)";

TEST(ServerConfig, ReadsEveryPart) {
  auto config = parse_config(kWhole, "server.toml", "/etc/bantam");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->host, "0.0.0.0");
  EXPECT_EQ(config->port, 9000);
  EXPECT_EQ(config->certificate, "/etc/bantam/c.pem");
  EXPECT_EQ(config->private_key, "/k.pem");
  ASSERT_EQ(config->models[0].adapters.size(), 2u);
  EXPECT_EQ(config->models[0].adapters[0].path, "/etc/bantam/a.gguf");
  EXPECT_EQ(config->models[0].adapters[1].path, "/b.gguf");
  EXPECT_EQ(config->models[0].adapters[1].scale, -0.5F);
  EXPECT_TRUE(config->models[0].context_shift);
  EXPECT_EQ(config->models[0].cache_bytes, 300'000'000u);
  EXPECT_EQ(config->max_queue, 5u);
  EXPECT_EQ(config->io_threads, 3u);
  EXPECT_EQ(config->request_timeout.count(), 1500);
  ASSERT_EQ(config->models.size(), 3u);
  EXPECT_EQ(config->models[0].path, "/etc/bantam/models/small.gguf");
  EXPECT_EQ(config->models[0].prices.completion, 0.02);
  EXPECT_EQ(config->models[1].model, "llm-1");
  EXPECT_EQ(config->models[1].choices, chat::ChoiceMode::kGuidedChoice);
  EXPECT_EQ(config->models[1].prices.completion, 10);
  EXPECT_EQ(config->models[1].breaker.failures, 2u);
  EXPECT_EQ(config->models[1].limits.calls_per_request, 3u);
  EXPECT_EQ(config->models[1].limits.money_per_day, 1.5);
  EXPECT_FALSE(config->models[1].limits.calls_per_day);
  EXPECT_EQ(config->models[2].recording, "/etc/bantam/r.jsonl");
  EXPECT_EQ(config->models[2].pace, 0);
  EXPECT_EQ(config->strategy_of("team"), "cascade");
  EXPECT_EQ(config->strategy_of("small"), "model");
  ASSERT_EQ(config->teams.size(), 1u);
  EXPECT_EQ(config->teams[0].of_strategy.threshold, 0.9);
  EXPECT_EQ(config->teams[0].of_strategy.rule.on_failure, collab::OnLlmFailure::kError);
}

TEST(ServerConfig, RefusesWithFileLineKeyFoundAndExpected) {
  const std::string model = "[[models]]\nname = \"m\"\npath = \"m.gguf\"\n";
  struct Case {
    std::string text;
    std::vector<std::string> parts;
  };
  for (const Case& c : std::vector<Case>{
           {"", {"models"}},
           {"[server]\nport = 99999\n" + model, {"line 2", "port", "99999"}},
           {"[server]\nport = \"x\"\n" + model, {"line 2", "port"}},
           {model + "kv_cache = \"q4_0\"\n", {"kv_cache", "q4_0", "f16"}},
           {"[server]\nio_threads = 65\n" + model, {"line 2", "io_threads", "65"}},
           {"[server]\nprot = 1\n" + model, {"line 2", "prot"}},
           {"[other]\n" + model, {"other"}},
           {"[[models]]\nname = \"m\"\n", {"path", "url"}},
           {"[[models]]\nname = \"m\"\npath = \"a\"\nurl = \"http://a\"\n", {"line 4", "path"}},
           {"[[models]]\nurl = \"http://a\"\n", {"name"}},
           {"[[models]]\nname = \"m\"\npath = \"a\"\nkey_env = \"K\"\n", {"line 4", "key_env", "url"}},
           {"[[models]]\nname = \"m\"\nurl = \"http://a\"\nthreads = 2\n", {"line 4", "threads", "path"}},
           {"[[models]]\nname = \"m\"\nurl = \"http://a\"\nchoices = \"some\"\n",
            {"line 4", "choices", "some", "guided_choice"}},
           {"[[models]]\nname = \"m\"\npath = \"a\"\nprices = { promt = 1 }\n", {"promt"}},
           {model + model, {"line 5", "\"m\" twice"}},
           {model + "[[teams]]\nname = \"t\"\nslm = \"m\"\nllm = \"x\"\n", {"line 7", "llm", "\"x\""}},
           {model + "[[teams]]\nname = \"m\"\nslm = \"m\"\nllm = \"m\"\n", {"line 5", "\"m\" twice"}},
           {model + "[[teams]]\nname = \"t\"\nslm = \"m\"\nllm = \"m\"\nstrategy = \"route\"\n",
            {"line 8", "strategy", "route", "cascade"}},
           {model + "[[teams]]\nname = \"t\"\nslm = \"m\"\nllm = \"m\"\nthreshold = 2\n",
            {"line 8", "threshold", "2"}},
           {"[server\n", {"line 1"}},
       }) {
    auto config = parse_config(c.text, "server.toml", "");
    ASSERT_FALSE(config) << c.text;
    EXPECT_THAT(config.error().message, HasSubstr("server.toml"));
    for (const std::string& part : c.parts) EXPECT_THAT(config.error().message, HasSubstr(part)) << c.text;
  }
}

TEST(ServerConfig, OneModelAlone) {
  ServerConfig config = config_for_model("a/b.gguf");
  ASSERT_EQ(config.models.size(), 1u);
  EXPECT_EQ(config.models[0].path, "a/b.gguf");
  EXPECT_EQ(config.host, "127.0.0.1");
  auto missing = load_config("/no/such.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace bantam::server
