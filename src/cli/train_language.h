#pragma once
// bantam train --lm RECIPE: pretraining on text, or tuning for sentence vectors, from one TOML file.
// docs/recipes.md explains every key.

#include <optional>
#include <string>

#include "cli/app.h"
#include "train/embed.h"
#include "train/pretrain.h"

namespace bantam::cli {

struct LanguageRecipe {
  std::string name;
  std::string from;  // a GGUF to go on training; empty: random weights of `shape`
  model::Config shape;
  train::PretrainData data;
  train::PretrainOptions options;
  std::optional<train::EmbedOptions> embed;  // from [embed]: sentence vectors are to be learned, not text
};

/// `folder` is where the texts' relative files are looked for; empty: beside the recipe. Errors: those of
/// TomlTable.
Result<LanguageRecipe> read_language_recipe(const std::string& path, const std::string& folder);

struct LanguageArguments {
  std::string recipe, folder, out, tokens;
  unsigned threads = 0;
  double checkpoint_seconds = 60, peer_timeout = 120;
};
/// Trains and prints what came of it; out/model.gguf, out/model.gguf.log.jsonl and out/loss.svg are left.
int train_language_model(const LanguageArguments& arguments, const Common& common);

struct LanguagePruneArguments {
  std::string recipe, folder, out, tokens, model;
  train::PruneOptions prune;
  uint32_t rows = 256;  // of the recipe's context, whose activations count
  unsigned threads = 0;
};
Result<train::PruneReport> prune_language_model(const LanguagePruneArguments& arguments,
                                                const Common& common);

}  // namespace bantam::cli
