#pragma once
// The verbs of bantam-train (see app.h).

#include <string>

#include "cli/app.h"
#include "train/train.h"

namespace bantam::cli {

Action add_make(CLI::App& verb, const Common& common);
Action add_train(CLI::App& verb, const Common& common);
Action add_distill(CLI::App& verb, const Common& common);
Action add_prune(CLI::App& verb, const Common& common);

}  // namespace bantam::cli
