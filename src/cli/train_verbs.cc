#include "cli/train_verbs.h"

#include <filesystem>
#include <memory>

#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/train_language.h"
#include "formats/gguf.h"

namespace bantam::cli {
namespace {

/// Where the examples come from and where the model goes.
struct Files {
  std::string data, input = "text", label = "label", out;
  unsigned threads = 0;
};

void add_files(CLI::App& verb, Files& files) {
  verb.add_option("--data", files.data, "Labelled examples (.csv or .jsonl)")->required();
  verb.add_option("--input", files.input, "Column of the text")->capture_default_str();
  verb.add_option("--label", files.label, "Column of the label")->capture_default_str();
  verb.add_option("--out", files.out, "Model file to write (.gguf)")->required();
  verb.add_option("--threads", files.threads, "0: all");
}

void add_shape(CLI::App& verb, model::Config& shape) {
  shape.dim = 128;
  shape.layers = 2;
  shape.heads = 4;
  shape.ffn_dim = 384;
  shape.context_length = 256;
  shape.tied_head = true;
  verb.add_option("--dim", shape.dim, "Channels")->capture_default_str();
  verb.add_option("--layers", shape.layers, "Blocks")->capture_default_str();
  verb.add_option("--heads", shape.heads, "Attention heads")->capture_default_str();
  verb.add_option("--ffn-dim", shape.ffn_dim, "Hidden channels of SwiGLU")->capture_default_str();
  verb.add_option("--context-length", shape.context_length, "Largest number of tokens")
      ->capture_default_str();
}

void finish_shape(model::Config& shape) {
  shape.kv_heads = shape.heads;
  shape.head_dim = shape.heads == 0 ? 0 : shape.dim / shape.heads;
}

void add_optim(CLI::App& verb, train::OptimOptions& optim) {
  verb.add_option("--epochs", optim.epochs, "Passes over the examples")->capture_default_str();
  verb.add_option("--batch", optim.batch, "Examples a step")->capture_default_str();
  verb.add_option("--learning-rate", optim.learning_rate, "Peak")->capture_default_str();
  verb.add_option("--weight-decay", optim.weight_decay, "Of matrices")->capture_default_str();
  verb.add_option("--dropout", optim.dropout, "")->capture_default_str();
  verb.add_option("--label-smoothing", optim.label_smoothing, "")->capture_default_str();
  verb.add_option("--bpe-dropout", optim.augment.bpe_dropout, "Share of merges left out in training")
      ->capture_default_str();
  verb.add_option("--seed", optim.seed, "")->capture_default_str();
}

train::JobOptions job_options(const Files& files, ProgressBar& bar) {
  train::configure_torch(files.threads);
  return {.out = files.out,
          .checkpoint_seconds = 10,
          .threads = files.threads,
          .progress = bar.sink(),
          .cancel = Interrupt::token()};
}

int print_report(const train::JobReport& report, const Files& files, const Common& common) {
  if (common.json) {
    return print_json({{"model", files.out},
                       {"steps", report.steps},
                       {"tokens", report.tokens},
                       {"loss", report.final_loss},
                       {"cpu_seconds", report.cpu_seconds}});
  }
  return print_text(fmt::format("{}: {} steps, {} tokens, loss {:.3f}, {:.0f} CPU-seconds\n", files.out,
                                report.steps, with_commas(report.tokens), report.final_loss,
                                report.cpu_seconds));
}

struct TrainArguments {
  std::string language_recipe, tokens, base;
  double checkpoint_seconds = 60, peer_timeout = 120;
  Files files;
  std::string task = "task";
  size_t vocab_size = 4096;
  model::Config shape;
  train::OptimOptions optim;
};

int train_model(TrainArguments& a, const Common& common) {
  if (!a.language_recipe.empty())
    return train_language_model({.recipe = a.language_recipe,
                                 .folder = a.files.data,
                                 .out = a.files.out,
                                 .tokens = a.tokens,
                                 .threads = a.files.threads,
                                 .checkpoint_seconds = a.checkpoint_seconds,
                                 .peer_timeout = a.peer_timeout},
                                common);
  if (a.files.data.empty() || a.files.out.empty()) {
    report(Error{Code::kInvalidArgument, "train: expected --data and --out, or --lm RECIPE"});
    return kMisuse;
  }
  Interrupt interrupt;
  auto data = formats::load_labelled(a.files.data, a.files.input, a.files.label);
  if (!data) return report(data.error());
  finish_shape(a.shape);
  const bool from_base = !a.base.empty();
  auto text = from_base ? train::prepare_task_from(a.task, data->labels, a.base)
                        : train::prepare_task(a.task, data->labels, data->examples, a.vocab_size);
  if (!text) return report(text.error());
  std::string start;
  if (from_base) {
    start = a.files.out + ".start.gguf";
    if (auto adapted = train::adapt_base(a.base, *text, start); !adapted) return report(adapted.error());
  }
  ProgressBar bar(common.quiet);
  auto done =
      train::train_classifier(data->examples, *text, a.shape, a.optim, job_options(a.files, bar), start);
  bar.finish();
  std::error_code ignored;  // it is made anew, the same, by a run that goes on
  if (from_base) std::filesystem::remove(start, ignored);
  return done ? print_report(*done, a.files, common) : report(done.error());
}

struct DistillArguments {
  Files files;
  std::string teacher, student;
  model::Config shape;
  train::DistillOptions distill;
};

/// The labels of a task model, so that the data's labels get the same numbers.
Result<formats::LabelledData> load_for(const std::string& model, const Files& files) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(model));
  BANTAM_ASSIGN(auto task, model::read_task(file));
  if (!task) return fail(Code::kUnsupported, "{}: has no task (bantam.task.kind)", model);
  return formats::load_labelled(files.data, files.input, files.label, task->labels);
}

int distill_model(DistillArguments& a, const Common& common) {
  Interrupt interrupt;
  auto data = load_for(a.teacher, a.files);
  if (!data) return report(data.error());
  finish_shape(a.shape);
  ProgressBar bar(common.quiet);
  auto done = train::distill(data->examples, a.teacher, a.student, a.shape, a.distill,
                             a.files.out + ".answers", job_options(a.files, bar));
  bar.finish();
  return done ? print_report(*done, a.files, common) : report(done.error());
}

struct PruneArguments {
  Files files;
  std::string model, language_recipe, tokens;
  uint32_t rows = 256;
  train::PruneOptions prune;
};

Result<train::PruneReport> prune_task_model(const PruneArguments& a, const Common& common) {
  Interrupt interrupt;
  BANTAM_ASSIGN(auto data, load_for(a.model, a.files));
  ProgressBar bar(common.quiet);
  auto done = train::prune(data.examples, a.model, a.prune, job_options(a.files, bar));
  bar.finish();
  return done;
}

int prune_model(PruneArguments& a, const Common& common) {
  if (a.files.data.empty() && a.language_recipe.empty()) {
    report(Error{Code::kInvalidArgument, "prune: expected --data, or --lm RECIPE"});
    return kMisuse;
  }
  auto done = a.language_recipe.empty() ? prune_task_model(a, common)
                                        : prune_language_model({.recipe = a.language_recipe,
                                                                .folder = a.files.data,
                                                                .out = a.files.out,
                                                                .tokens = a.tokens,
                                                                .model = a.model,
                                                                .prune = a.prune,
                                                                .rows = a.rows,
                                                                .threads = a.files.threads},
                                                               common);
  if (!done) return report(done.error());
  const auto &was = done->before, &is = done->after;
  const uint64_t before = model::parameter_count(was), after = model::parameter_count(is);
  if (common.json) {
    return print_json({{"model", a.files.out},
                       {"parameters_before", before},
                       {"parameters", after},
                       {"layers_kept", done->layers_kept},
                       {"heads_kept", done->heads_kept},
                       {"dim", is.dim},
                       {"ffn_dim", is.ffn_dim},
                       {"cpu_seconds", done->cpu_seconds}});
  }
  return print_text(
      fmt::format("{}: {} -> {} parameters; layers {} -> {}, dim {} -> {}, heads {} -> {}, FFN {} -> {}\n",
                  a.files.out, with_commas(before), with_commas(after), was.layers, is.layers, was.dim,
                  is.dim, was.heads, is.heads, was.ffn_dim, is.ffn_dim));
}

}  // namespace

Action add_train(CLI::App& verb, const Common& common) {
  auto a = std::make_shared<TrainArguments>();
  add_files(verb, a->files);
  verb.get_option("--data")->required(false)->description(
      "Labelled examples (.csv or .jsonl); with --lm the folder of the recipe's texts");
  verb.get_option("--out")->required(false)->description("Model file to write (.gguf); with --lm a folder");
  verb.add_option(
      "--lm", a->language_recipe,
      "Pretrain a language model on text instead, as this recipe (.toml) says; of the other options "
      "only --data, --out and --threads count");
  verb.add_option(
      "--base", a->base,
      "Start from this language model or classifier (.gguf): its vocabulary, its shape; none: random "
      "weights of the shape below");
  verb.add_option("--task", a->task, "Name of the task, kept in the model")->capture_default_str();
  verb.add_option("--vocab-size", a->vocab_size, "Tokens of the vocabulary learned from the texts")
      ->capture_default_str();
  verb.add_option("--checkpoint-seconds", a->checkpoint_seconds, "With --lm: time between checkpoints")
      ->capture_default_str();
  verb.add_option("--peer-timeout", a->peer_timeout,
                  "With --lm and several processes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT): seconds of "
                  "silence after which a peer is lost")
      ->capture_default_str();
  verb.add_option(
      "--tokens", a->tokens,
      "With --lm: where the texts are kept as tokens, for several jobs to share; none: beside the model");
  add_shape(verb, a->shape);
  for (const char* own : {"--vocab-size", "--dim", "--layers", "--heads", "--ffn-dim", "--context-length"})
    verb.get_option("--base")->excludes(verb.get_option(own));
  add_optim(verb, a->optim);
  add_json(verb, common);
  verb.footer(
      "Example:\n  bantam train --data tickets.csv --label intent --dim 256 --layers 4 --heads 8 --ffn-dim "
      "768 --out teacher.gguf\n  bantam train --lm recipes/base/base-large.toml --data texts --out "
      "base-large");
  return [a, &common] { return train_model(*a, common); };
}

Action add_distill(CLI::App& verb, const Common& common) {
  auto a = std::make_shared<DistillArguments>();
  add_files(verb, a->files);
  verb.add_option("--teacher", a->teacher, "Model that answers (.gguf)")->required();
  verb.add_option("--student", a->student,
                  "Model to start from, such as a pruned one; none: random weights of the shape below");
  takes_model(verb, common, a->teacher);
  takes_model(verb, common, a->student);
  add_shape(verb, a->shape);
  a->distill.optim.epochs = 60;
  a->distill.optim.dropout = 0;
  a->distill.optim.label_smoothing = 0;
  add_optim(verb, a->distill.optim);
  verb.add_option("--temperature", a->distill.temperature, "Of both softmaxes")->capture_default_str();
  verb.add_option("--hard-weight", a->distill.hard_weight, "Share of the labels' own cross-entropy")
      ->capture_default_str();
  verb.add_option("--variants", a->distill.variants, "Copies of each example that the teacher answers")
      ->capture_default_str();
  add_json(verb, common);
  verb.footer(
      "Example:\n  bantam distill --teacher teacher.gguf --data tickets.csv --label intent --dim 96 --layers "
      "1 --heads 3 --ffn-dim 192 --out student.gguf");
  return [a, &common] { return distill_model(*a, common); };
}

Action add_prune(CLI::App& verb, const Common& common) {
  auto a = std::make_shared<PruneArguments>();
  verb.add_option("MODEL", a->model, "Model to prune (.gguf)")->required();
  takes_model(verb, common, a->model);
  add_files(verb, a->files);
  verb.get_option("--data")->required(false)->description(
      "Labelled examples (.csv or .jsonl); with --lm the folder of the recipe's texts");
  verb.add_option("--lm", a->language_recipe,
                  "Prune a language model by what the texts of this pretraining recipe (.toml) activate");
  verb.add_option("--tokens", a->tokens, "With --lm: as for bantam train");
  verb.add_option("--rows", a->rows, "With --lm: rows of text to look at")->capture_default_str();
  verb.add_option("--dim", a->prune.dim, "Channels to keep, a multiple of 32; 0: all");
  verb.add_option("--ffn-dim", a->prune.ffn_dim,
                  "FFN channels to keep in each layer, a multiple of 32; 0: all");
  verb.add_option("--heads", a->prune.heads, "Heads to keep in each layer; 0: all");
  verb.add_option("--layers", a->prune.layers, "Layers to keep; 0: all");
  add_json(verb, common);
  verb.footer(
      "Example:\n  bantam prune teacher.gguf --data tickets.csv --label intent --ffn-dim 256 --heads 4 "
      "--layers 2 --out pruned.gguf");
  return [a, &common] { return prune_model(*a, common); };
}

}  // namespace bantam::cli
