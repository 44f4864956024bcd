#include <memory>

#include "cli/verbs.h"
#include "server/server.h"
#include "store/store.h"

namespace bantam::cli {
namespace {

struct ServeVerbOptions {
  std::string config, model, host;
  uint16_t port = 0;
  CLI::Option* host_given = nullptr;
  CLI::Option* kv_cache_given = nullptr;
  CLI::Option* port_given = nullptr;
  bool offline = false, context_shift = false;
  runtime::EngineOptions engine{.threads = 0, .context_length = 0, .batch = 256};
};

/// The file's settings, or those for one model; flags win over the file.
Result<server::ServerConfig> settings(const ServeVerbOptions& options, const Common& common) {
  server::ServerConfig config;
  if (!options.config.empty()) {
    BANTAM_ASSIGN(config, server::load_config(options.config));
  } else {
    config = server::config_for_model(options.model);
  }
  if (options.host_given->count() > 0) config.host = options.host;
  if (options.port_given->count() > 0) config.port = options.port;
  if (options.offline) config.offline = true;
  for (server::ModelConfig& model : config.models) {
    if (model.path.empty()) continue;
    BANTAM_ASSIGN(model.path, store::resolve_model(model.path, common.store));
    if (options.engine.threads != 0) model.threads = options.engine.threads;
    if (options.engine.context_length != 0) model.context = options.engine.context_length;
    model.adapters.insert(model.adapters.end(), options.engine.adapters.begin(),
                          options.engine.adapters.end());
    if (options.context_shift) model.context_shift = true;
    if (options.kv_cache_given->count() > 0) model.kv_cache = options.engine.kv_cache;
  }
  return config;
}

int serve(const ServeVerbOptions& options, const Common& common) {
  if (options.config.empty() == options.model.empty()) {
    return report_misuse("serve", "expected either --config or --model");
  }
  auto config = settings(options, common);
  if (!config) return report(config.error());
  server::LogSink log;
  if (!common.quiet) {
    log = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  }
  Status served = server::run(*config, log);
  return served ? kDone : report(served.error());
}

}  // namespace

Action add_serve(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<ServeVerbOptions>();
  auto* config =
      verb.add_option("--config", options->config, "Models, teams and the server's settings (.toml)");
  // Not BANTAM_CONFIG: that names the file with defaults for flags, which this verb has too.
  config->type_name("FILE")->envname("BANTAM_SERVE_CONFIG");
  verb.add_option("--model", options->model, "Serve this one model instead: a file or a name of the store")
      ->type_name("MODEL")
      ->excludes(config);
  takes_model(verb, common, options->model);
  options->host_given = verb.add_option("--host", options->host, "Address to listen on (default: 127.0.0.1)");
  options->port_given =
      verb.add_option("--port", options->port, "Port; 0: one the system chooses (default: 8080)")
          ->check(CLI::Range(0, 65'535));
  verb.add_flag(
      "--context-shift", options->context_shift,
      "Allow requests that ask for it (\"context_shift\": true) to go on past the context's end: the oldest\n"
      "half of what follows the prompt's beginning is then forgotten, and the answer says so");
  verb.add_flag("--offline", options->offline, "Never call a remote model");
  add_engine_options(verb, options->engine);
  options->kv_cache_given = verb.get_option("--kv-cache");
  verb.footer(
      "Examples:\n"
      "  bantam serve --model tickets.gguf --port 8080\n"
      "  bantam serve --config serve.toml\n"
      "An OpenAI client talks to http://127.0.0.1:8080/v1. Ctrl-C finishes what is in work; a second one "
      "ends at once.");
  return [options, &common] { return serve(*options, common); };
}

}  // namespace bantam::cli
