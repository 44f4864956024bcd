#pragma once
#include <span>
#include <string_view>

#include "cli/app.h"

namespace bantam::cli {

/// The verbs of bantam-train, with the lines that `bantam --help` shows for them.
std::span<const Verb> training_verbs();
bool is_training_verb(std::string_view name);

/// Replaces this process by bantam-train, which must lie beside this program or on PATH, with the same
/// arguments. Returns (kFailed, after a message) only when it cannot be started.
int start_training_program(char** argv);

}  // namespace bantam::cli
