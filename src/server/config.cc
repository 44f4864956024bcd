#include "server/config.h"

#include <filesystem>
#include <set>

#include "base/file.h"
#include "formats/toml_reader.h"
#include "server/config_read.h"
#include "store/name.h"

namespace bantam::server {
namespace {

using formats::TomlTable;

void read_server(TomlTable table, const std::string& directory, ServerConfig& out) {
  out.host = table.text("host", out.host);
  out.port = static_cast<uint16_t>(table.whole("port", out.port, 0, 65'535));
  out.api_key_env = table.text("api_key_env", "");
  out.max_queue = table.whole("max_queue", out.max_queue, 0, 100'000);
  out.io_threads = static_cast<unsigned>(table.whole("io_threads", out.io_threads, 0, 64));
  out.max_connections = table.whole("max_connections", out.max_connections, 1, 100'000);
  out.max_body_bytes = table.whole("max_body_bytes", out.max_body_bytes, 1024, 1 << 30);
  out.max_header_bytes = table.whole("max_header_bytes", out.max_header_bytes, 1024, 1 << 20);
  out.max_answers = static_cast<uint32_t>(table.whole("max_answers", out.max_answers, 1, 1024));
  out.request_timeout = seconds(table, "request_timeout", out.request_timeout);
  out.drain_timeout = seconds(table, "drain_timeout", out.drain_timeout);
  out.certificate = beside(directory, table.text("certificate", ""));
  out.private_key = beside(directory, table.text("private_key", ""));
  if (out.certificate.empty() != out.private_key.empty())
    table.reject(out.certificate.empty() ? "private_key" : "certificate",
                 "expected both or none of certificate and private_key");
  out.cors_origins = table.texts("cors_origins");
  out.allowed_hosts = table.texts("allowed_hosts");
  out.offline = table.flag("offline", false);
}

/// Keys that make no sense for the other kind of model are refused, not passed over.
void refuse(TomlTable& table, std::initializer_list<const char*> keys, std::string_view why) {
  for (const char* key : keys) {
    if (table.has(key)) table.reject(key, why);
  }
}

constexpr std::initializer_list<const char*> kLocalKeys = {"threads",  "context", "sessions",
                                                           "cache_mb", "lora",    "context_shift", "kv_cache"};
constexpr std::initializer_list<const char*> kRemoteKeys = {"model",
                                                            "key_env",
                                                            "ca_file",
                                                            "choices",
                                                            "max_tokens_field",
                                                            "max_retries",
                                                            "answer_timeout",
                                                            "read_timeout",
                                                            "connect_timeout",
                                                            "breaker_failures",
                                                            "breaker_pause",
                                                            "max_calls_per_request",
                                                            "max_calls_per_day",
                                                            "max_cost_per_request",
                                                            "max_cost_per_day",
                                                            "max_answer_tokens"};

void read_local(TomlTable& table, const std::string& directory, ModelConfig& out) {
  // A name of the store stays one, unless there is a file of that name.
  const std::string path = beside(directory, out.path);
  const auto name = store::parse_name(out.path);
  const bool named = name && (!name->selector.empty() || !out.path.ends_with(".gguf"));
  if (!named || std::filesystem::exists(path)) out.path = path;
  out.threads = static_cast<unsigned>(table.whole("threads", 0, 0, 1024));
  out.context = static_cast<uint32_t>(table.whole("context", 0, 0, 1 << 24));
  out.sessions = static_cast<unsigned>(table.whole("sessions", out.sessions, 1, 1024));
  out.cache_bytes = table.whole("cache_mb", 0, 0, 1 << 24) * 1'000'000;
  auto type = runtime::parse_cache_type(table.text("kv_cache", "f16"));
  if (type)
    out.kv_cache = *type;
  else
    table.reject("kv_cache", type.error().message);
  for (const std::string& text : table.texts("lora")) {
    auto adapter = runtime::parse_adapter(text);
    if (!adapter) {
      table.reject("lora", adapter.error().message);
      continue;
    }
    adapter->path = beside(directory, adapter->path);
    out.adapters.push_back(std::move(*adapter));
  }
  out.context_shift = table.flag("context_shift", false);
}

void read_limits(TomlTable& table, ModelConfig& out) {
  auto count = [&](const char* key, std::optional<uint64_t>& to) {
    if (table.has(key)) to = table.whole(key, 0, 0, 1'000'000'000);
  };
  auto money = [&](const char* key, std::optional<double>& to) {
    if (table.has(key)) to = table.number(key, 0, 0, 1e9);
  };
  count("max_calls_per_request", out.limits.calls_per_request);
  count("max_calls_per_day", out.limits.calls_per_day);
  money("max_cost_per_request", out.limits.money_per_request);
  money("max_cost_per_day", out.limits.money_per_day);
  out.max_answer_tokens =
      static_cast<uint32_t>(table.whole("max_answer_tokens", out.max_answer_tokens, 1, 1 << 24));
  out.breaker.failures =
      static_cast<unsigned>(table.whole("breaker_failures", out.breaker.failures, 0, 1'000'000));
  out.breaker.pause = seconds(table, "breaker_pause", out.breaker.pause);
}

void read_remote(TomlTable& table, const std::string& directory, ModelConfig& out) {
  out.model = table.text("model", "");
  out.key_env = table.text("key_env", "");
  out.ca_file = beside(directory, table.text("ca_file", ""));
  out.choices = word(table, "choices", out.choices,
                     {{"json_schema", chat::ChoiceMode::kJsonSchema},
                      {"guided_choice", chat::ChoiceMode::kGuidedChoice},
                      {"prompt", chat::ChoiceMode::kPrompt}});
  out.max_tokens_field =
      word<std::string>(table, "max_tokens_field", out.max_tokens_field,
                        {{"max_tokens", "max_tokens"}, {"max_completion_tokens", "max_completion_tokens"}});
  out.max_retries = static_cast<unsigned>(table.whole("max_retries", out.max_retries, 0, 10));
  out.connect_timeout = seconds(table, "connect_timeout", out.connect_timeout);
  out.answer_timeout = seconds(table, "answer_timeout", out.answer_timeout);
  out.read_timeout = seconds(table, "read_timeout", out.read_timeout);
  read_limits(table, out);
}

ModelConfig read_model(TomlTable table, const std::string& directory) {
  ModelConfig out;
  out.name = table.text("name", "");
  TomlTable prices = table.table("prices");
  out.prices.prompt = prices.number("prompt", 0, 0, 1e9);
  out.prices.completion = prices.number("completion", 0, 0, 1e9);
  out.path = table.text("path", "");
  out.url = table.text("url", "");
  out.recording = table.text("recording", "");
  int kinds = !out.path.empty() + !out.url.empty() + !out.recording.empty();
  if (kinds != 1) {
    const char* key = !out.recording.empty() ? "recording" : !out.url.empty() ? "url" : "name";
    table.reject(key, "expected one of path (a .gguf file), url (an API) and recording (a .jsonl file)");
  }
  if (out.name.empty() && out.path.empty())
    table.reject("name", "found none, expected one for a model without a path");
  if (!out.path.empty()) {
    read_local(table, directory, out);
  } else {
    refuse(table, kLocalKeys, "belongs to a model with a path");
  }
  if (!out.url.empty()) {
    read_remote(table, directory, out);
  } else {
    refuse(table, kRemoteKeys, "belongs to a model with a url");
  }
  if (!out.recording.empty()) {
    out.recording = beside(directory, out.recording);
    out.pace = table.number("pace", out.pace, 0, 1000);
  } else {
    refuse(table, {"pace"}, "belongs to a model with a recording");
  }
  return out;
}

TeamConfig read_team(TomlTable table, const std::string& directory) {
  TeamConfig out;
  out.name = table.text("name", "");
  out.strategy = word<std::string>(table, "strategy", out.strategy,
                                   {{"cascade", "cascade"},
                                    {"verify", "verify"},
                                    {"draft", "draft"},
                                    {"filter", "filter"},
                                    {"check", "check"},
                                    {"speculative", "speculative"},
                                    {"routing", "routing"}});
  if (out.strategy == "routing") {
    if (out.name.empty()) table.reject("name", "found none, expected a name");
    out.routing = read_routing(table, directory);
    return out;
  }
  out.slm = table.text("slm", "");
  out.llm = table.text("llm", "");
  out.of_strategy = read_strategy(table, out.strategy);
  for (auto [key, value] :
       {std::pair("name", &out.name), std::pair("slm", &out.slm), std::pair("llm", &out.llm)}) {
    if (value->empty() && !(out.of_strategy.lookup && value == &out.slm))
      table.reject(key, "found none, expected a name");
  }
  if (out.of_strategy.lookup && !out.slm.empty()) table.reject("slm", "has no part in draft = \"lookup\"");
  return out;
}

Result<ServerConfig> read_config(TomlTable root, const std::string& directory) {
  ServerConfig out;
  read_server(root.table("server"), directory, out);
  std::set<std::string> models, names;
  for (TomlTable& table : root.tables("models")) {
    out.models.push_back(read_model(table, directory));
    const std::string& name = out.models.back().name;
    read_member_policy(table, name, out.policy);
    models.insert(name);
    if (!name.empty() && !names.insert(name).second)
      table.reject("name", fmt::format("found \"{}\" twice", name));
  }
  if (out.models.empty()) root.reject("models", "found none, expected at least one [[models]]");
  for (TomlTable& table : root.tables("teams")) {
    out.teams.push_back(read_team(table, directory));
    const TeamConfig& team = out.teams.back();
    read_member_policy(table, team.name, out.policy);
    if (!names.insert(team.name).second) table.reject("name", fmt::format("found \"{}\" twice", team.name));
    if (team.routing) {
      for (const std::string& model : team.routing->models) {
        if (!models.contains(model))
          table.reject("models",
                       fmt::format("found \"{}\", expected the name of one of the [[models]]", model));
      }
      continue;
    }
    for (auto [key, model] : {std::pair("slm", &team.slm), std::pair("llm", &team.llm)}) {
      if (!models.contains(*model) && !(team.of_strategy.lookup && model == &team.slm))
        table.reject(key, fmt::format("found \"{}\", expected the name of one of the [[models]]", *model));
    }
  }
  read_policy(root, directory, out.policy);
  BANTAM_TRY(root.finish());
  if (models.contains("")) names.insert("");
  BANTAM_TRY(check_policy(out.policy, names));
  return out;
}

}  // namespace

Result<ServerConfig> load_config(const std::string& path) {
  BANTAM_ASSIGN(std::string text, read_file(path, 16 << 20));
  return parse_config(text, path, std::filesystem::path(path).parent_path().string());
}

Result<ServerConfig> parse_config(std::string_view text, const std::string& name,
                                  const std::string& directory) {
  BANTAM_ASSIGN(TomlTable root, TomlTable::parse(text, name));
  return read_config(std::move(root), directory);
}

std::string ServerConfig::strategy_of(std::string_view name) const {
  for (const TeamConfig& team : teams) {
    if (team.name == name) return team.strategy;
  }
  return "model";
}

ServerConfig config_for_model(const std::string& path) {
  ServerConfig out;
  out.models.emplace_back().path = path;
  return out;
}

}  // namespace bantam::server
