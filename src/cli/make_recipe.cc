#include "cli/make_recipe.h"

#include <bit>
#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "formats/toml_reader.h"

namespace bantam::cli {
namespace {

using formats::TomlTable;

train::AugmentOptions read_augment(TomlTable table, train::AugmentOptions a) {
  a.lower = table.number("lower", a.lower, 0, 1);
  a.drop_word = table.number("drop_word", a.drop_word, 0, 1);
  a.swap_words = table.number("swap_words", a.swap_words, 0, 1);
  a.typo = table.number("typo", a.typo, 0, 1);
  a.bpe_dropout = table.number("bpe_dropout", a.bpe_dropout, 0, 1);
  return a;
}

train::OptimOptions read_optim(TomlTable& table, train::OptimOptions o, uint64_t seed) {
  o.epochs = table.number("epochs", o.epochs, 0.01, 100000);
  o.batch = static_cast<uint32_t>(table.whole("batch", o.batch, 1, 65536));
  o.learning_rate = table.number("learning_rate", o.learning_rate, 1e-7, 1);
  o.weight_decay = table.number("weight_decay", o.weight_decay, 0, 10);
  o.warmup = table.number("warmup", o.warmup, 0, 0.9);
  o.clip = table.number("clip", o.clip, 1e-3, 1e6);
  o.dropout = table.number("dropout", o.dropout, 0, 0.9);
  o.label_smoothing = table.number("label_smoothing", o.label_smoothing, 0, 0.9);
  o.lm_weight = table.number("lm_weight", o.lm_weight, 0, 100);
  o.consistency = table.number("consistency", o.consistency, 0, 100);
  o.ema = table.number("ema", o.ema, 0, 0.999999);
  o.seed = seed;
  o.augment = read_augment(table.table("augment"), o.augment);
  return o;
}

train::PruneOptions read_prune(TomlTable table) {
  train::PruneOptions out;
  out.dim = static_cast<uint32_t>(table.whole("dim", 0, 0, 1 << 16));
  out.ffn_dim = static_cast<uint32_t>(table.whole("ffn_dim", 0, 0, 1 << 18));
  out.heads = static_cast<uint32_t>(table.whole("heads", 0, 0, 1024));
  out.layers = static_cast<uint32_t>(table.whole("layers", 0, 0, 1024));
  return out;
}

void read_data(TomlTable table, Recipe& out) {
  out.file = table.text("file", "");
  out.input = table.text("input", out.input);
  out.label = table.text("label", out.label);
  out.calibration_share = table.number("calibration_share", out.calibration_share, 0.01, 0.5);
  out.validation_share = table.number("validation_share", out.validation_share, 0.01, 0.5);
  out.per_label = static_cast<uint32_t>(table.whole("per_label", 0, 0, 1'000'000));
  if (out.per_label == 1)
    table.reject("per_label", "found 1, expected 0 or at least 2: one is for calibration");
}

void read_goals(TomlTable& file, Recipe& out) {
  TomlTable quantize = file.table("quantize");
  auto type = compress::mix_from_name(quantize.text("type", "q8_0"));
  if (type) {
    out.quantize = *type;
  } else {
    quantize.reject("type", type.error().message);
  }
  TomlTable ngrams = file.table("ngrams");
  out.ngrams.buckets = static_cast<uint32_t>(ngrams.whole("buckets", out.ngrams.buckets, 0, 1 << 20));
  if (out.ngrams.buckets != 0 && !std::has_single_bit(out.ngrams.buckets))
    ngrams.reject("buckets",
                  fmt::format("found {}, expected a power of two, or 0 for none", out.ngrams.buckets));
  TomlTable calibrate = file.table("calibrate");
  if (calibrate.has("error") && calibrate.has("target"))
    calibrate.reject("error", "found target too, expected one of them");
  out.error = calibrate.number("error", out.error, 0.0001, 0.5);
  out.target = out.error > 0 ? 0 : calibrate.number("target", out.target, 0.5, 0.9999);
  out.confidence = calibrate.number("confidence", out.confidence, 0.5, 0.998);
  TomlTable compare = file.table("compare");
  out.ablations = compare.flag("ablations", out.ablations);
  out.cost.cpu_hour_price = compare.number("cpu_hour_price", out.cost.cpu_hour_price, 0, 1e6);
  out.cost.currency = compare.text("currency", out.cost.currency);
}

}  // namespace

void read_shape(TomlTable table, model::Config& shape) {
  shape.context_length = static_cast<uint32_t>(table.whole("context_length", 256, 8, 1 << 20));
  shape.dim = static_cast<uint32_t>(table.whole("dim", 128, 8, 1 << 16));
  shape.layers = static_cast<uint32_t>(table.whole("layers", 2, 1, 1024));
  shape.heads = static_cast<uint32_t>(table.whole("heads", 4, 1, 1024));
  shape.kv_heads = static_cast<uint32_t>(table.whole("kv_heads", shape.heads, 1, 1024));
  shape.head_dim = static_cast<uint32_t>(table.whole("head_dim", shape.dim / shape.heads, 2, 1024));
  shape.ffn_dim = static_cast<uint32_t>(table.whole("ffn_dim", uint64_t{3} * shape.dim, 8, 1 << 18));
  shape.tied_head = table.flag("tied_head", true);
}

Result<Recipe> read_recipe(const std::string& path) {
  Recipe out;
  BANTAM_ASSIGN(std::string bytes, read_file(path, 1 << 20));
  BANTAM_ASSIGN(TomlTable file, TomlTable::parse(bytes, path));
  out.path = path;
  out.sha256 = sha256_hex(bytes);
  out.task = file.text("task", std::filesystem::path(path).parent_path().filename().string());
  out.seed = file.whole("seed", out.seed, 0, uint64_t{1} << 62);
  auto beside = [&](const std::string& file) {  // relative files lie beside the recipe
    const bool moves = !file.empty() && std::filesystem::path(file).is_relative();
    return moves ? (std::filesystem::path(path).parent_path() / file).string() : file;
  };
  read_data(file.table("data"), out);
  out.file = beside(out.file);
  out.vocab_size = file.table("tokenizer").whole("vocab_size", out.vocab_size, 300, 1 << 20);

  TomlTable teacher = file.table("teacher");
  out.teacher_file = beside(teacher.text("file", ""));
  out.teacher_base = beside(teacher.text("base", ""));
  read_shape(teacher, out.teacher);
  TomlTable teacher_train = teacher.table("train");
  out.teacher_train = read_optim(teacher_train, out.teacher_train, out.seed);
  out.teacher_linear_share = teacher_train.number("linear_share", 0, 0, 1);

  TomlTable distill = file.table("distill");
  out.distill.optim.epochs = 60;
  out.distill.optim.dropout = 0;
  out.distill.optim.label_smoothing = 0;
  out.distill.optim = read_optim(distill, out.distill.optim, out.seed);
  if (out.distill.optim.consistency > 0)
    distill.reject("consistency", "found it above 0: only a teacher's training has it");
  out.distill_linear_share = distill.number("linear_share", 0, 0, 1);
  out.distill.temperature = distill.number("temperature", out.distill.temperature, 0.1, 100);
  out.distill.hard_weight = distill.number("hard_weight", out.distill.hard_weight, 0, 1);
  out.distill.variants = static_cast<uint32_t>(distill.whole("variants", out.distill.variants, 1, 10000));
  out.distill.transfer = read_augment(distill.table("transfer"), out.distill.transfer);

  out.has_student = file.has("student");
  TomlTable student = file.table("student");
  out.start = student.text("start", out.start);
  out.student_base = beside(student.text("base", ""));
  if (out.has_student) read_shape(student, out.student);
  out.has_prune = file.has("prune");
  out.prune = read_prune(file.table("prune"));
  read_goals(file, out);
  if (out.start != "best" && out.start != "prune" && out.start != "scratch") {
    student.reject("start", fmt::format("found '{}', expected best, prune or scratch", out.start));
  }
  if (!out.student_base.empty() && out.teacher_base.empty())
    student.reject("base", "found a student's base and none of the teacher's: they share one vocabulary");
  if (out.calibration_share + out.validation_share > 0.8) {
    file.reject("data",
                "calibration_share and validation_share leave less than 20 % of the examples for training");
  }
  if (!out.has_student && !out.has_prune)
    file.reject("student", "found neither [student] nor [prune], expected at least one");
  BANTAM_TRY(file.finish());
  return out;
}

}  // namespace bantam::cli
