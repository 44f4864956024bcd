#include "cli/verbs.h"

namespace bantam::cli {

CLI::Option* add_lora(CLI::App& verb, runtime::EngineOptions& options) {
  return verb
      .add_option_function<std::vector<std::string>>(
          "--lora",
          [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto adapter = runtime::parse_adapter(text);
              if (!adapter) throw CLI::ValidationError("--lora", adapter.error().message);
              options.adapters.push_back(std::move(*adapter));
            }
          },
          "A low-rank adapter (GGUF) and how much of it, 1 unless told (may be repeated)")
      ->type_name("FILE[:SCALE]");
}

void add_engine_options(CLI::App& verb, runtime::EngineOptions& options) {
  verb.add_option("-t,--threads", options.threads, "Threads of the engine (0: one per hardware thread)")
      ->capture_default_str()
      ->type_name("N");
  verb.add_option("--context", options.context_length,
                  "Context length in tokens (0: the model's own, at most 8,192)")
      ->capture_default_str()
      ->type_name("N");
  verb.add_option_function<std::string>(
          "--kv-cache",
          [&options](const std::string& text) {
            auto type = runtime::parse_cache_type(text);
            if (!type) throw CLI::ValidationError("--kv-cache", type.error().message);
            options.kv_cache = *type;
          },
          "Keys and values as f32, f16 or q8_0, which takes about half the memory of f16 (default: f16)")
      ->type_name("TYPE");
  add_lora(verb, options);
}

}  // namespace bantam::cli
