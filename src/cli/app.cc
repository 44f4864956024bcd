#include "cli/app.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/file.h"
#include "store/store.h"

namespace bantam::cli {
namespace {

/// "--max-tokens" -> "BANTAM_MAX_TOKENS".
std::string environment_twin(const std::string& long_name) {
  std::string out = "BANTAM_" + long_name;
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return out;
}

void add_common(CLI::App& verb, Common& common) {
  verb.set_help_flag("-h,--help", "Print this help and exit");
  verb.add_flag("-q,--quiet", common.quiet, "No progress and no messages on standard error; errors still");
  if (verb.get_option_no_throw("--config") != nullptr) return;  // serve's is the server's own file
  verb.add_option("--config", common.config, "TOML file with defaults for flags")->type_name("FILE");
}

void add_twins(CLI::App& verb) {
  for (CLI::Option* option : verb.get_options()) {
    if (option->get_lnames().empty() || option->get_lnames().front() == "help") continue;
    if (option->get_envname().empty()) option->envname(environment_twin(option->get_lnames().front()));
  }
}

Status load_config(Common& common, CLI::App& chosen, const std::vector<CLI::App*>& all,
                   const OtherProgram& other) {
  if (const char* path = std::getenv("BANTAM_CONFIG"); common.config.empty() && path != nullptr)
    common.config = path;
  if (common.config.empty()) common.config = default_config_path();
  if (common.config.empty()) return {};
  BANTAM_ASSIGN(std::string text, read_file(common.config, uint64_t{1} << 24));
  return apply_config(common.config, text, chosen, all, other);
}

/// Names of the store become paths.
Status find_models(Common& common, const CLI::App& chosen) {
  if (common.store.empty()) common.store = store::Store::default_root();
  for (auto& [verb, targets] : common.model_lists) {
    for (std::string& target : *targets) common.models.emplace_back(verb, &target);
  }
  for (auto& [verb, target] : common.models) {
    if (verb != &chosen || target->empty()) continue;
    BANTAM_ASSIGN(*target, store::resolve_model(*target, common.store));
  }
  return {};
}

/// Help and version go to standard output and are no failure; everything else is wrong use.
int report_parse_error(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
  std::string verb;
  for (const CLI::App* chosen : app.get_subcommands()) verb = chosen->get_name();
  return report_misuse(verb, error.what());
}

}  // namespace

void add_json(CLI::App& verb, const Common& common) {
  // The frame owns `common` and hands it to verbs read-only; only the parser writes it.
  verb.add_flag("--json", const_cast<Common&>(common).json, "Print the result as JSON");
}

void add_store(CLI::App& verb, const Common& common) {
  if (verb.get_option_no_throw("--store") != nullptr) return;
  verb.add_option("--store", const_cast<Common&>(common).store,
                  "Folder of pulled models (default: bantam/models under $XDG_DATA_HOME or ~/.local/share)")
      ->type_name("DIR");
}

void takes_model(CLI::App& verb, const Common& common, std::string& target) {
  add_store(verb, common);
  const_cast<Common&>(common).models.emplace_back(&verb, &target);
}

void takes_models(CLI::App& verb, const Common& common, std::vector<std::string>& targets) {
  add_store(verb, common);
  const_cast<Common&>(common).model_lists.emplace_back(&verb, &targets);
}

int run_app(int argc, const char* const* argv, const char* about, std::span<const Verb> verbs,
            std::span<const Verb> listed, const OtherProgram& other) {
  CLI::App app(about, "bantam");
  app.set_version_flag("--version", "bantam " BANTAM_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong use. Each flag --some-name can be set by BANTAM_SOME_NAME or in "
      "a config\n"
      "file; a flag beats the environment, which beats the file. `bantam VERB --help` shows examples.");
  Common common;
  std::vector<CLI::App*> apps;
  std::vector<Action> actions;
  for (const Verb& verb : verbs) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.help);
    actions.push_back(verb.add(*sub, common));
    add_common(*sub, common);
    // Only the chosen verb's: CLI11 checks the environment of every subcommand, and another verb's flag is
    // none of ours.
    if (argc > 1 && std::string_view(argv[1]) == verb.name) add_twins(*sub);
    apps.push_back(sub);
  }
  for (const Verb& verb : listed) app.add_subcommand(verb.name, verb.help);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_parse_error(app, error);
  }
  auto chosen = std::find_if(apps.begin(), apps.end(), [](const CLI::App* sub) { return sub->parsed(); });
  if (chosen == apps.end()) return report_misuse("", "this verb lives in another program");
  if (Status status = load_config(common, **chosen, apps, other); !status) {
    report(status.error());
    return kMisuse;
  }
  if (Status status = find_models(common, **chosen); !status) return report(status.error());
  return actions[chosen - apps.begin()]();
}

}  // namespace bantam::cli
