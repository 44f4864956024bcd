#include <cstdio>
#include <memory>

#include "cli/interrupt.h"
#include "cli/make_job.h"
#include "cli/make_recipe.h"
#include "cli/progress_bar.h"
#include "cli/train_verbs.h"

namespace bantam::cli {
namespace {

struct MakeVerbOptions {
  std::string recipe, data, out;
  int64_t seed = -1;
  unsigned threads = 0;
  double checkpoint_seconds = 10;
  bool no_ablations = false;
};

int make_model(const MakeVerbOptions& options, const Common& common) {
  Interrupt interrupt;
  auto recipe = read_recipe(options.recipe);
  if (!recipe) return report(recipe.error());
  if (!options.data.empty()) recipe->file = options.data;
  if (options.seed >= 0) {
    recipe->seed = recipe->teacher_train.seed = recipe->distill.optim.seed =
        static_cast<uint64_t>(options.seed);
  }
  if (options.no_ablations) recipe->ablations = false;
  train::configure_torch(options.threads);
  ProgressBar bar(common.quiet);
  MakeOptions job;
  job.out = options.out.empty() ? recipe->task + "-model" : options.out;
  job.threads = options.threads;
  job.checkpoint_seconds = options.checkpoint_seconds;
  job.progress = bar.sink();
  job.say = [&](const std::string& line) {
    bar.finish();
    if (!common.quiet) fmt::print(stderr, "{}\n", line);
  };
  job.cancel = Interrupt::token();
  auto comparison = make(*recipe, job);
  bar.finish();
  if (!comparison) return report(comparison.error());
  if (!common.quiet)
    fmt::print(stderr,
               "{0}/student.gguf is the model; {0}/report.html the report; serve both: bantam serve --config "
               "{0}/serve.toml\n",
               job.out);
  return print_text(common.json ? eval::to_json(*comparison) + "\n" : eval::to_text(*comparison));
}

}  // namespace

Action add_make(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<MakeVerbOptions>();
  verb.add_option("RECIPE", options->recipe, "What to make and how (.toml)")->required();
  verb.add_option("--data", options->data,
                  "Labelled examples (.csv or .jsonl), in place of the recipe's data.file");
  verb.add_option("--out", options->out, "Folder for what is made; TASK-model by default");
  verb.add_option("--seed", options->seed, "In place of the recipe's seed")->check(CLI::NonNegativeNumber);
  verb.add_option("--threads", options->threads, "Threads of training; 0: all");
  verb.add_option("--checkpoint-seconds", options->checkpoint_seconds, "Between checkpoints of training")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_flag("--no-ablations", options->no_ablations, "Leave out the rows that show each method alone");
  add_json(verb, common);
  verb.footer(
      "Example:\n  bantam make recipes/tickets/recipe.toml --data tickets.csv --out tickets-model\n"
      "Started again after an interruption, it goes on where it stopped.");
  return [options, &common] { return make_model(*options, common); };
}

}  // namespace bantam::cli
