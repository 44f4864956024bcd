#pragma once
// Defaults for flags from a TOML file: keys at the top for every verb that has such a flag, keys in a table
// named after a verb for that verb alone (they win). The file of `bantam serve --config` is another one, see
// server/config.h.

#include <CLI/CLI.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::cli {

/// Where the config file is when neither --config nor BANTAM_CONFIG names one: bantam/config.toml under
/// $XDG_CONFIG_HOME, else under ~/.config; empty when there is no such file.
std::string default_config_path();

/// The verbs and flags of the other program that reads the same file: `bantam` and `bantam-train` share it.
struct OtherProgram {
  std::span<const std::string_view> verbs, flags;
};

/// Sets every option of `verb` that got no value from the command line or the environment and has a key in
/// `toml` (the file's content; `path` is for messages). `all` are the program's verbs: a key or table that
/// neither they nor the `other` program knows is an error; the other's own tables it checks itself. Errors:
/// kInvalidArgument naming file, line and key, and the known name that is nearest to it.
Status apply_config(const std::string& path, const std::string& toml, CLI::App& verb,
                    const std::vector<CLI::App*>& all, const OtherProgram& other = {});

}  // namespace bantam::cli
