#pragma once
// Sentence vectors: a language model tuned so that the mean of its last hidden states tells texts apart. No
// Torch in this header.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "train/pretrain.h"

namespace bantam::train {

struct EmbedOptions {
  double pairs = 500e3;       // to see in all
  uint32_t batch = 64;        // pairs that are each other's negatives
  uint32_t groups = 4;        // such batches of a step
  uint32_t max_tokens = 64;   // of the longer text of a pair; the shorter one has at most half of it
  double temperature = 0.05;  // of the cosines
  double learning_rate = 5e-4;
  double warmup = 0.05, decay = 1, final_share = 0.05, weight_decay = 0.01, clip = 1.0, beta2 = 0.98;
  double dropout = 0.1;
  bool muon = false;
  uint32_t evaluate_every = 200;  // steps between looks at the held-back documents
  uint32_t evaluate_pairs = 256;  // of each part
  uint64_t seed = 1;
};
/// Errors: kInvalidArgument naming the field, the value and the range.
Status check(const EmbedOptions& options);

struct EmbedReport {
  JobReport job;
  uint64_t parameters = 0;
  /// By part: how often a held-back text's partner is the nearest of options.evaluate_pairs partners.
  std::vector<std::pair<std::string, double>> found;
};

/// Tunes `from`, a language model, by contrast (InfoNCE, van den Oord et al. 2018, in both directions with
/// the other pairs of the batch as negatives) on pairs that the texts give by themselves: neighbouring
/// sentences, a sentence and the passage it was taken from (inverse cloze, Lee et al. 2019), a document's
/// first line and a passage of it. job.out is a GGUF whose vectors are the normalised mean of the last hidden
/// states (pooling_type 1); the log is as pretrain()'s. Errors: as pretrain()'s.
Result<EmbedReport> train_embedder(const PretrainData& data, const std::string& from,
                                   const EmbedOptions& options, const JobOptions& job);

}  // namespace bantam::train
