#include "cli/verbs.h"

namespace bantam::cli {

void add_engine_options(CLI::App& verb, runtime::EngineOptions& options) {
  verb.add_option("-t,--threads", options.threads, "Threads of the engine (0: one per hardware thread)")
      ->capture_default_str()
      ->type_name("N");
  verb.add_option("--context", options.context_length,
                  "Context length in tokens (0: the model's own, at most 8,192)")
      ->capture_default_str()
      ->type_name("N");
}

}  // namespace bantam::cli
