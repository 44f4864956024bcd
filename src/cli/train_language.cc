#include "cli/train_language.h"

#include <filesystem>

#include "cli/interrupt.h"
#include "cli/make_recipe.h"
#include "cli/progress_bar.h"
#include "cli/train_chart.h"
#include "formats/toml_reader.h"

namespace bantam::cli {
namespace {

using formats::TomlTable;
namespace fs = std::filesystem;

std::string beside(const std::string& folder, const std::string& file) {
  return file.empty() || fs::path(file).is_absolute() ? file : (fs::path(folder) / file).string();
}

void read_text_data(TomlTable table, const std::string& folder, train::PretrainData& out) {
  out.held_back_one_in =
      static_cast<uint32_t>(table.whole("held_back_one_in", out.held_back_one_in, 0, 1 << 20));
  for (TomlTable& part : table.tables("parts")) {
    train::TextPart text;
    text.file = beside(folder, part.text("file", ""));
    text.name = part.text("name", fs::path(text.file).stem().stem().string());
    text.weight = part.number("weight", 1, 0, 1000);
    if (text.file.empty()) part.reject("file", "found nothing, expected the file of a text collection");
    out.parts.push_back(std::move(text));
  }
  if (out.parts.empty()) table.reject("parts", "found no [[data.parts]], expected at least one");
}

void read_options(TomlTable table, train::PretrainOptions& o) {
  o.context = static_cast<uint32_t>(table.whole("context", o.context, 8, 65536));
  o.batch = static_cast<uint32_t>(table.whole("batch", o.batch, 1, 65536));
  o.accumulate = static_cast<uint32_t>(table.whole("accumulate", o.accumulate, 1, 65536));
  o.tokens = table.number("tokens", o.tokens, 1, 1e15);
  o.learning_rate = table.number("learning_rate", o.learning_rate, 1e-7, 1);
  o.warmup = table.number("warmup", o.warmup, 0, 0.9);
  o.decay = table.number("decay", o.decay, 0.001, 1);
  o.final_share = table.number("final_share", o.final_share, 0, 1);
  o.weight_decay = table.number("weight_decay", o.weight_decay, 0, 10);
  o.clip = table.number("clip", o.clip, 1e-3, 1e6);
  o.beta2 = table.number("beta2", o.beta2, 0, 0.99999);
  o.dropout = table.number("dropout", o.dropout, 0, 0.9);
  o.z_loss = table.number("z_loss", o.z_loss, 0, 1);
  const std::string optimiser = table.text("optimiser", o.muon ? "muon" : "adamw");
  o.muon = optimiser == "muon";
  if (!o.muon && optimiser != "adamw")
    table.reject("optimiser", fmt::format("found {}, expected muon or adamw", optimiser));
  o.device = table.text("device", o.device);
  o.precision = table.text("precision", o.precision);
  o.evaluate_every = static_cast<uint32_t>(table.whole("evaluate_every", o.evaluate_every, 1, 1U << 31));
  o.keep_every = static_cast<uint32_t>(table.whole("keep_every", o.keep_every, 0, 1U << 31));
  o.answers_only = table.flag("answers_only", o.answers_only);
  o.evaluate_rows = static_cast<uint32_t>(table.whole("evaluate_rows", o.evaluate_rows, 1, 1 << 20));
}

void read_embed(TomlTable table, train::EmbedOptions& o) {
  o.pairs = table.number("pairs", o.pairs, 1, 1e15);
  o.batch = static_cast<uint32_t>(table.whole("batch", o.batch, 2, 65536));
  o.groups = static_cast<uint32_t>(table.whole("groups", o.groups, 1, 65536));
  o.max_tokens = static_cast<uint32_t>(table.whole("max_tokens", o.max_tokens, 16, 8192));
  o.temperature = table.number("temperature", o.temperature, 1e-3, 10);
  o.learning_rate = table.number("learning_rate", o.learning_rate, 1e-7, 1);
  o.warmup = table.number("warmup", o.warmup, 0, 0.9);
  o.decay = table.number("decay", o.decay, 0.001, 1);
  o.final_share = table.number("final_share", o.final_share, 0, 1);
  o.weight_decay = table.number("weight_decay", o.weight_decay, 0, 10);
  o.dropout = table.number("dropout", o.dropout, 0, 0.9);
  o.evaluate_every = static_cast<uint32_t>(table.whole("evaluate_every", o.evaluate_every, 1, 1U << 31));
  o.evaluate_pairs = static_cast<uint32_t>(table.whole("evaluate_pairs", o.evaluate_pairs, 2, 65536));
}

std::string share_lines(std::string_view form, const std::vector<std::pair<std::string, double>>& parts) {
  std::string out;
  for (const auto& [part, value] : parts) out += fmt::format(fmt::runtime(form), part, value);
  return out;
}

nlohmann::json by_part(const std::vector<std::pair<std::string, double>>& parts) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [part, value] : parts) out[part] = value;
  return out;
}

int print_language_model(const std::string& model, const train::PretrainReport& done, bool as_json) {
  if (as_json) {
    return print_json({{"model", model},
                       {"parameters", done.parameters},
                       {"corpus_tokens", done.corpus_tokens},
                       {"steps", done.job.steps},
                       {"tokens", done.job.tokens},
                       {"loss", done.job.final_loss},
                       {"cpu_seconds", done.job.cpu_seconds},
                       {"bits_per_byte", by_part(done.bits_per_byte)}});
  }
  return print_text(
      fmt::format("{}: {} parameters, {} steps, {} tokens (the collection has {}), loss {:.4f}, "
                  "{:.0f} CPU-seconds\n",
                  model, with_commas(done.parameters), done.job.steps, with_commas(done.job.tokens),
                  with_commas(done.corpus_tokens), done.job.final_loss, done.job.cpu_seconds) +
      share_lines("held-back {}: {:.4f} bits per byte\n", done.bits_per_byte));
}

int print_embedder(const std::string& model, const train::EmbedReport& done, bool as_json) {
  if (as_json) {
    return print_json({{"model", model},
                       {"parameters", done.parameters},
                       {"steps", done.job.steps},
                       {"tokens", done.job.tokens},
                       {"loss", done.job.final_loss},
                       {"cpu_seconds", done.job.cpu_seconds},
                       {"found", by_part(done.found)}});
  }
  return print_text(fmt::format("{}: {} parameters, {} steps, {} tokens, loss {:.4f}, {:.0f} CPU-seconds\n",
                                model, with_commas(done.parameters), done.job.steps,
                                with_commas(done.job.tokens), done.job.final_loss, done.job.cpu_seconds) +
                    share_lines("held-back {}: partner found first {:.3f}\n", done.found));
}

}  // namespace

Result<LanguageRecipe> read_language_recipe(const std::string& path, const std::string& folder) {
  BANTAM_ASSIGN(TomlTable file, TomlTable::open(path));
  LanguageRecipe out;
  const std::string own = fs::path(path).parent_path().string();
  out.name = file.text("name", fs::path(path).stem().string());
  out.options.seed = file.whole("seed", 1, 0, uint64_t{1} << 62);
  read_text_data(file.table("data"), folder.empty() ? own : folder, out.data);
  TomlTable tokenizer = file.table("tokenizer");
  out.data.vocab_size = static_cast<uint32_t>(tokenizer.whole("vocab_size", out.data.vocab_size, 300, 65536));
  out.data.tokenizer_bytes = tokenizer.whole("megabytes", out.data.tokenizer_bytes >> 20, 1, 1 << 20) << 20;
  out.data.control = tokenizer.texts("control");
  TomlTable model = file.table("model");
  out.from = beside(own, model.text("from", ""));
  read_shape(model, out.shape);
  read_options(file.table("train"), out.options);
  TomlTable distill = file.table("distill");
  out.options.teacher = beside(own, distill.text("teacher", ""));
  out.options.teacher_share = distill.number("teacher_share", out.options.teacher_share, 0, 1);
  if (file.has("embed")) {
    out.embed.emplace().seed = out.options.seed;
    read_embed(file.table("embed"), *out.embed);
  }
  BANTAM_TRY(file.finish());
  return out;
}

int train_language_model(const LanguageArguments& a, const Common& common) {
  Interrupt interrupt;
  auto recipe = read_language_recipe(a.recipe, a.folder);
  if (!recipe) return report(recipe.error());
  const std::string out = a.out.empty() ? recipe->name : a.out;
  std::error_code error;
  fs::create_directories(out, error);
  if (error) return report(Error{Code::kIo, fmt::format("{}: cannot be created: {}", out, error.message())});
  train::configure_torch(a.threads);
  auto peers = train::join_peers(a.peer_timeout, recipe->options.device);
  if (!peers) return report(peers.error());
  ProgressBar bar(common.quiet);
  const std::string model = out + "/model.gguf";
  recipe->data.store = a.tokens;
  const train::JobOptions job{.out = model,
                              .checkpoint_seconds = a.checkpoint_seconds,
                              .threads = a.threads,
                              .progress = bar.sink(),
                              .cancel = Interrupt::token(),
                              .peers = *peers};
  const auto finish = [&](const auto& done, const auto& print) {
    bar.finish();
    if (*peers && train::rank_of(**peers) != 0) return done ? kDone : report(done.error());
    // The chart is drawn for a stopped run too.
    if (auto drawn = draw_losses(model + ".log.jsonl", out + "/loss.svg"); !drawn && done)
      return report(drawn.error());
    return done ? print(model, *done, common.json) : report(done.error());
  };
  if (recipe->embed) {
    if (*peers) return report_misuse("train", "expected one process for a recipe with [embed]");
    return finish(train::train_embedder(recipe->data, recipe->from, *recipe->embed, job), print_embedder);
  }
  return finish(train::pretrain(recipe->data, recipe->shape, recipe->from, recipe->options, job),
                print_language_model);
}

Result<train::PruneReport> prune_language_model(const LanguagePruneArguments& a, const Common& common) {
  Interrupt interrupt;
  BANTAM_ASSIGN(auto recipe, read_language_recipe(a.recipe, a.folder));
  recipe.data.store = a.tokens;
  train::configure_torch(a.threads);
  ProgressBar bar(common.quiet);
  auto done = train::prune_language(recipe.data, a.model, a.prune, recipe.options.context, a.rows,
                                    {.out = a.out,
                                     .checkpoint_seconds = 60,
                                     .threads = a.threads,
                                     .progress = bar.sink(),
                                     .cancel = Interrupt::token()});
  bar.finish();
  return done;
}

}  // namespace bantam::cli
