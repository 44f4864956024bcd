#pragma once
// The frame of both programs: verbs with their options, environment twins, config file and exit codes.

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/config.h"
#include "cli/output.h"

namespace bantam::cli {

/// Options every verb has.
struct Common {
  bool json = false;   // only where the verb called add_json
  bool quiet = false;  // no progress, no messages; errors still
  std::string config;  // path of the config file in use, empty when there is none
  std::string
      store;  // folder of models, of verbs that called add_store; never empty there but without a home
  /// What names a model in each verb; a name of the store is its file's path when the action runs.
  std::vector<std::pair<const CLI::App*, std::string*>> models;
  std::vector<std::pair<const CLI::App*, std::vector<std::string>*>> model_lists;
};

/// Runs the verb after its options are parsed; returns an ExitCode.
using Action = std::function<int()>;

/// A verb: its name, one line for the list, and the function that adds its options and returns its action.
/// `common` and what `add` binds its options to live until the action returns (the action should own its
/// options through a shared_ptr).
struct Verb {
  const char* name;
  const char* help;
  Action (*add)(CLI::App& verb, const Common& common);
};

/// Adds --json to a verb that prints a result.
void add_json(CLI::App& verb, const Common& common);

/// Adds --store to a verb (once, however often it is called).
void add_store(CLI::App& verb, const Common& common);
/// `target`, bound to an option of the verb, may name a model of the store beside a file; adds --store.
void takes_model(CLI::App& verb, const Common& common, std::string& target);
void takes_models(CLI::App& verb, const Common& common, std::vector<std::string>& targets);

/// Parses the command line and runs the chosen verb. Every option --some-name of a verb has the environment
/// twin BANTAM_SOME_NAME; a flag beats its twin, which beats the config file. Wrong use ends in kMisuse.
/// `listed` verbs are only named in the help (they live in another program). `other`: what that program, which
/// reads the same config file, knows.
int run_app(int argc, const char* const* argv, const char* about, std::span<const Verb> verbs,
            std::span<const Verb> listed = {}, const OtherProgram& other = {});

}  // namespace bantam::cli
