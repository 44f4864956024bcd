#pragma once

namespace bantam::cli {

/// Sets what LibTorch's libraries read from the environment when they are loaded: so for a program that is
/// yet to be started. Values the user set stay. True when something was set.
bool set_training_environment();

}  // namespace bantam::cli
