#include "cli/exec_train.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

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
  // Read by libgomp when it is loaded, so it must be set before: threads that spin long while waiting cost a
  // busy machine a factor of two to three, those that never spin an idle one a factor of 1.5. A value the
  // user set stays.
  ::setenv("GOMP_SPINCOUNT", "3000", 0);
#ifdef __x86_64__
  // OpenBLAS 0.3.21 knows processors by name: AMD's with AVX-512 are Haswells to it (4,400 tokens/s instead
  // of 7,600 on a Zen 5 with 6 M parameters), Intel's since Emerald Rapids are Prescotts of 2004 (600 instead
  // of 3,700). What the processor can do decides here. A value the user set stays.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    ::setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    ::setenv("OPENBLAS_CORETYPE", "Haswell", 0);
  }
#endif
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
