// bantam-train: the verbs that need LibTorch. `bantam` starts it for them, so that the runtime stays small.

#include "cli/app.h"
#include "cli/config_names.h"
#include "cli/train_verbs.h"

namespace {

using bantam::cli::Verb;

constexpr Verb kVerbs[] = {
    {"make", "From one recipe: train, distil, prune, quantize, calibrate, compare", bantam::cli::add_make},
    {"train", "Train a classifier on labelled data, or a language model on text", bantam::cli::add_train},
    {"distill", "Train a small model on a large one's answers", bantam::cli::add_distill},
    {"prune", "Cut out what a model uses least; distill recovers the loss", bantam::cli::add_prune},
};

}  // namespace

int main(int argc, char** argv) {
  return bantam::cli::run_app(argc, argv, "Makes small language models out of large ones.", kVerbs, {},
                              bantam::cli::of_bantam());
}
