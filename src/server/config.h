#pragma once
// What `serve` is told, by a TOML file or by flags.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "chat/remote.h"
#include "runtime/engine.h"
#include "server/policy.h"
#include "server/routing_config.h"
#include "server/team_config.h"

namespace bantam::server {

/// A model of our own (path), behind an API (url) or replayed (recording); exactly one of the three.
struct ModelConfig {
  std::string name;  // empty (for a path only): the file's task, or its name without the extension
  chat::Prices prices;

  std::string path;  // of a .gguf; in a config file relative to that file; or a name of the store
  unsigned threads = 0;
  uint32_t context = 0;   // tokens; 0: the engine's default
  unsigned sessions = 2;  // requests that run at once
  tensor::DType kv_cache = tensor::DType::kF16;  // as EngineOptions::kv_cache
  uint64_t cache_bytes = 0;  // of all KV caches together; 0: `sessions` times one of the whole context
  std::vector<runtime::AdapterOption> adapters;  // relative as `path` is
  bool context_shift = false;                    // requests may ask for it

  std::string url;      // "https://api.example.com/v1"
  std::string model;    // its name there; empty: `name`
  std::string key_env;  // the environment variable with its key
  std::string ca_file;
  chat::ChoiceMode choices = chat::ChoiceMode::kJsonSchema;
  std::string max_tokens_field = "max_tokens";
  unsigned max_retries = 2;
  chat::BreakerOptions breaker;
  chat::SpendLimits limits;
  uint32_t max_answer_tokens = 4096;
  std::chrono::milliseconds connect_timeout{10'000}, answer_timeout{120'000}, read_timeout{60'000};

  std::string recording;  // a .jsonl of prompts and answers (chat/recorded.h); relative as `path` is
  double pace = 1;
};

struct TeamConfig {
  std::string name;
  std::string strategy = "cascade";
  std::optional<RoutingConfig> routing = {};  // of strategy "routing", which has none of what follows
  std::string slm, llm;                       // names of models
  StrategyConfig of_strategy;
};

struct ServerConfig {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: one the system chooses
  std::string
      api_key_env;  // the environment variable with the key clients must send; needed unless host is loopback
  size_t max_queue = 64;  // requests that wait for a session of a local model, each; one more gets 429
  unsigned io_threads = 0;  // 0: one per hardware thread, at most 4
  size_t max_connections = 1024;
  size_t max_body_bytes = 8 << 20;
  size_t max_header_bytes = 16 << 10;
  uint32_t max_answers = 8;  // of one request: n, times the number of prompts
  std::chrono::milliseconds request_timeout{600'000};
  std::chrono::milliseconds drain_timeout{30'000};
  std::string certificate, private_key;    // PEM files: the server speaks TLS; relative to the config file
  std::vector<std::string> cors_origins;   // beside pages served from loopback; "*": every one
  std::vector<std::string> allowed_hosts;  // beside loopback names, what the Host field may say
  bool offline = false;                    // no remote call is ever made
  std::vector<ModelConfig> models;
  std::vector<TeamConfig> teams;
  PolicyConfig policy;

  /// The strategy of the team of that name; "model" for what is no team.
  std::string strategy_of(std::string_view name) const;
};

/// Reads a file as described in docs/server.md. Errors name file, line, key, found and expected; unknown keys
/// are errors.
Result<ServerConfig> load_config(const std::string& path);
/// The same from text; paths of models are relative to `directory`.
Result<ServerConfig> parse_config(std::string_view text, const std::string& name,
                                  const std::string& directory);

/// A server of one model under its own name.
ServerConfig config_for_model(const std::string& path);

}  // namespace bantam::server
