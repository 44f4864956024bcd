#include "cli/exec_train.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/training_environment.h"

namespace bantam::cli {
namespace {

constexpr Verb kTrainingVerbs[] = {
    {"make", "From one recipe: train, distil, prune, quantize, calibrate, compare (bantam-train)", nullptr},
    {"train", "Train a model on labelled data (bantam-train)", nullptr},
    {"distill", "Train a small model on a large one's answers (bantam-train)", nullptr},
    {"prune", "Remove channels, heads and layers, then recover (bantam-train)", nullptr},
};

std::filesystem::path own_folder() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path() : path.parent_path();
}

}  // namespace

std::span<const Verb> training_verbs() { return kTrainingVerbs; }

bool is_training_verb(std::string_view name) {
  return std::any_of(std::begin(kTrainingVerbs), std::end(kTrainingVerbs),
                     [name](const Verb& verb) { return name == verb.name; });
}

int start_training_program(char** argv) {
  set_training_environment();
  std::string sibling = (own_folder() / "bantam-train").string();
  ::execv(sibling.c_str(), argv);
  int error = errno;
  if (error == ENOENT) {
    ::execvp("bantam-train", argv);
    error = errno;
  }
  if (error != ENOENT) {
    fmt::print(stderr, "bantam: {}: {}\n", sibling, std::strerror(error));
  } else {
    fmt::print(stderr,
               "bantam: `{}` needs the program bantam-train, which is neither at {} nor on PATH. It is built "
               "where LibTorch is "
               "found (cmake --preset release); the edge presets leave it out.\n",
               argv[1], sibling);
  }
  return kFailed;
}

}  // namespace bantam::cli
