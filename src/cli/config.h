#pragma once
// Defaults for flags from a TOML file: keys at the top for every verb that has such a flag, keys in a table
// named after a verb for that verb alone (they win). The file of `bantam serve --config` is another one, see
// server/config.h.

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "base/result.h"

namespace bantam::cli {

/// Where the config file is when neither --config nor BANTAM_CONFIG names one: bantam/config.toml under
/// $XDG_CONFIG_HOME, else under ~/.config; empty when there is no such file.
std::string default_config_path();

/// Sets every option of `verb` that got no value from the command line or the environment and has a key in
/// `toml` (the file's content; `path` is for messages). `all` are the program's verbs: a key that none of
/// them knows is an error, unless `others`: verbs of another program read the same file. Errors:
/// kInvalidArgument naming file, key, found and expected.
Status apply_config(const std::string& path, const std::string& toml, CLI::App& verb,
                    const std::vector<CLI::App*>& all, bool others = false);

}  // namespace bantam::cli
