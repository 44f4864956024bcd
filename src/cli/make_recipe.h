#pragma once
// A recipe: one TOML file that says how a small model is made for a task. docs/recipes.md explains every key.

#include <string>

#include "base/result.h"
#include "compress/mix.h"
#include "eval/compare.h"
#include "formats/gguf.h"
#include "formats/toml_reader.h"
#include "model/config.h"
#include "model/ngram_part.h"
#include "train/train.h"

namespace bantam::cli {

struct Recipe {
  std::string path, sha256;  // of the file itself
  std::string task;
  // [data]
  std::string file, input = "text", label = "label";  // a relative file is looked for beside the recipe
  double calibration_share = 0.15, validation_share = 0.15;
  uint32_t per_label = 0;  // examples of each label for training and calibration together; 0: all
  uint64_t seed = 1;
  // [tokenizer]
  uint64_t vocab_size = 4096;
  // [teacher], [teacher.train]
  std::string teacher_file;  // a finished teacher to start from instead of training one
  std::string teacher_base;  // a language model to train on; its shape and vocabulary replace [teacher]'s
  model::Config teacher;
  train::OptimOptions teacher_train;
  double teacher_linear_share = 0, distill_linear_share = 0;  // of what is to be said, the linear baseline's
  // [distill]: what every distillation below shares
  train::DistillOptions distill;
  // [student]: trained from random weights; [prune]: cut from the teacher. `start` says which becomes the
  // product.
  model::Config student;
  std::string
      student_base;  // a smaller language model with teacher_base's vocabulary, instead of random weights
  train::PruneOptions prune;
  bool has_student = false, has_prune = false;
  std::string start =
      "best";  // "prune", "scratch" or "best": the better one on the calibration part, after quantization
  // [ngrams]: of teacher and student
  model::NgramShape ngrams = {.buckets = 0};  // none
  compress::Mix quantize = compress::pure_mix(formats::GgmlType::kQ8_0);
  // [calibrate]
  double target = 0.99;      // 0 where `error` is set
  double error = 0;          // share of the kept answers that may be wrong, instead of a target
  double confidence = 0.95;  // that the threshold keeps its promise
  // [compare]
  bool ablations = true;
  eval::CostModel cost;
};

/// Errors: those of TomlTable; kInvalidArgument for shares that leave nothing to train on, or neither
/// [student] nor [prune].
Result<Recipe> read_recipe(const std::string& path);

/// The keys that say a decoder's shape, wherever a recipe has them.
void read_shape(formats::TomlTable table, model::Config& shape);

}  // namespace bantam::cli
