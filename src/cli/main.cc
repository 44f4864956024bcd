// bantam: the verbs that need no LibTorch. The others are in bantam-train, which is started in our place.

#include "cli/app.h"
#include "cli/config_names.h"
#include "cli/exec_train.h"
#include "cli/verbs.h"

namespace {

using bantam::cli::Verb;

constexpr Verb kVerbs[] = {
    {"run", "Answer a prompt, a pipe or a conversation", bantam::cli::add_run},
    {"serve", "Serve models and teams over an OpenAI-compatible API", bantam::cli::add_serve},
    {"eval", "Measure a model on labelled data or on text", bantam::cli::add_eval},
    {"compare", "A small model beside a large one: size, speed, accuracy, cost", bantam::cli::add_compare},
    {"bench", "Measure prefill and decoding speed, load time and memory", bantam::cli::add_bench},
    {"pull", "Fetch a model from the registry or a URL, resumable and checked", bantam::cli::add_pull},
    {"ls", "List the models of the store and what interrupted pulls left", bantam::cli::add_ls},
    {"rm", "Remove models from the store", bantam::cli::add_rm},
    {"import", "Write a Hugging Face directory as one GGUF file", bantam::cli::add_import},
    {"export", "Write a GGUF file as a Hugging Face directory", bantam::cli::add_export},
    {"quantize", "Rewrite a model's weights in a smaller format", bantam::cli::add_quantize},
    {"calibrate", "Fit a model's confidence and its threshold on held-back data", bantam::cli::add_calibrate},
    {"embed", "Print the vectors of texts", bantam::cli::add_embed},
    {"route", "Learn which model a request should go to, and measure that", bantam::cli::add_route},
    {"tokenize", "Print the token ids of a text", bantam::cli::add_tokenize},
    {"ledger", "Sum up what was asked, who answered and what it cost", bantam::cli::add_ledger},
    {"key", "Make, list and remove the API keys of a server", bantam::cli::add_key},
    {"audit", "Check that nobody altered a server's audit log", bantam::cli::add_audit},
    {"show", "Print what a model file holds", bantam::cli::add_show},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && bantam::cli::is_training_verb(argv[1])) return bantam::cli::start_training_program(argv);
  return bantam::cli::run_app(argc, argv,
                              "Makes small language models out of large ones, runs them, and teams them up.",
                              kVerbs, bantam::cli::training_verbs(), bantam::cli::of_bantam_train());
}
