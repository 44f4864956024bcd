#pragma once
// Pretraining of decoders on text. No Torch in this header.
//
// As with the jobs of train.h, what step n does depends on (options, n) alone, and a checkpoint holds
// weights, optimiser moments and n: a killed run goes on to the same losses, digit for digit, on the same
// machine with the same number of threads.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "train/train.h"

namespace bantam::train {

struct TextPart {
  std::string name;
  std::string file;   // formats/documents.h; JSON lines hold conversations (chat_form.h)
  double weight = 1;  // how often a pass shows each document; 0.5: every other one
};

struct PretrainData {
  std::vector<TextPart> parts;
  std::string
      store;  // where the texts' tokens are kept, for several jobs to share; empty: beside the job's output
  uint32_t held_back_one_in = 10;  // documents kept for validation: every tenth of each part; 0: none
  uint32_t vocab_size = 8192;      // tokens to learn, at most 65536
  uint64_t tokenizer_bytes = uint64_t{64} << 20;  // of text they are learned from, evenly from all parts
  std::vector<std::string> control;               // control tokens beside "<|endoftext|>", as "<|user|>"
};

struct PretrainOptions {
  uint32_t context = 512;   // tokens of a row
  uint32_t batch = 16;      // rows of a backward pass
  uint32_t accumulate = 1;  // backward passes of a step
  double tokens = 40e6;     // to see in all
  double learning_rate = 1e-3;
  double warmup = 0.02, decay = 1, final_share = 0.05;  // schedule, as shares of all steps (trainer.h)
  double weight_decay = 0.1, clip = 1.0, beta2 = 0.95, dropout = 0, z_loss = 1e-4;
  bool muon = true;
  std::string teacher;         // a GGUF of the same vocabulary to learn from, or none
  double teacher_share = 0.7;  // of the target that is the teacher's distribution (ops.h)
  std::string device = "cpu";  // or "cuda"
  std::string precision =
      "float32";                  // of activations and matrix products: or "bfloat16"; weights stay float32
  uint32_t evaluate_every = 500;  // steps between looks at the held-back text
  uint32_t evaluate_rows = 16;    // of each part
  uint32_t keep_every = 0;        // steps between models kept as OUT.step-N.gguf; 0: none
  bool answers_only = false;      // of conversations learn what the assistant says, not what it is told
  uint64_t seed = 1;
};
/// Errors: kInvalidArgument naming the field, the value and the range.
Status check(const PretrainOptions& options);

/// Beside job.out: the token store and, in OUT.log.jsonl, one JSON line for each step
/// ({"step", "loss", "learning_rate", "gradient_norm", "tokens", "seconds"}) and each evaluation ({"step",
/// "bits_per_byte": {part: value}, "sample"}).
struct PretrainReport {
  JobReport job;
  uint64_t parameters = 0;
  uint64_t corpus_tokens = 0;
  std::vector<std::pair<std::string, double>> bits_per_byte;  // by part, of the last evaluation
};

/// Learns a vocabulary from the data (or takes that of `from`), then trains a decoder of `shape` (its
/// vocab_size and context_length are set), or goes on training `from`, a GGUF. job.out is the model. Errors:
/// those of the files and options; kCorrupt or kInvalidArgument for a checkpoint of another job; kNoSpace;
/// kInternal for a loss that is not finite.
Result<PretrainReport> pretrain(const PretrainData& data, model::Config shape, const std::string& from,
                                const PretrainOptions& options, const JobOptions& job);

/// Joins the processes that a launcher started for one run (torchrun, Slurm, Open MPI, or RANK, WORLD_SIZE,
/// MASTER_ADDR and MASTER_PORT by hand); null when this one is alone. A peer that is lost or silent for
/// `timeout_seconds` stops all. Errors: kInvalidArgument naming the variable, kUnavailable.
Result<std::shared_ptr<Peers>> join_peers(double timeout_seconds, const std::string& device);

int rank_of(const Peers& peers);

/// prune() of train.h for a language model without a task: what counts is what `rows` rows of `context`
/// tokens of the data (the first ones of training's order) activate.
Result<PruneReport> prune_language(const PretrainData& data, const std::string& model,
                                   const PruneOptions& options, uint32_t context, uint32_t rows,
                                   const JobOptions& job);

}  // namespace bantam::train
