#pragma once
// Making models: supervised training, distillation and structured pruning of classifiers that are decoders.
// This header has no Torch in it; models go in and out as GGUF files.
//
// Every job is deterministic (same data, options, seed, threads and machine: the same file bit for bit) and
// resumable: what step n draws depends on (seed, n) alone, and a checkpoint holds weights, optimiser moments
// and n. A killed job started again with the same options ends in the same file as an undisturbed one.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "formats/labelled.h"
#include "model/config.h"
#include "model/task.h"
#include "text/bpe.h"
#include "train/augment.h"

namespace bantam::train {

struct OptimOptions {
  double epochs = 20;   // passes over the examples
  uint32_t batch = 64;  // examples a step
  double learning_rate =
      1e-3;  // AdamW (Loshchilov and Hutter 2019), peak of a linear warm-up and cosine decay to a 50th
  double weight_decay = 0.05;  // matrices only
  double warmup = 0.06;        // share of all steps
  double clip = 1.0;           // global gradient norm
  double dropout = 0.1;
  double label_smoothing = 0.1;
  double lm_weight = 0.0;    // weight of next-token prediction over the prompt's own tokens
  double consistency = 0.0;  // weight of the divergence between two passes with other dropout masks (R-Drop,
                             // Liang et al. 2021); doubles a step's work
  double ema = 0.0;          // decay of the averaged weights that are saved; 0: the last weights
  uint64_t seed = 1;
  AugmentOptions augment;
};
/// Errors: kInvalidArgument naming the field, the value and the range.
Status check(const OptimOptions& options);

/// What another classifier says of a text: it becomes a part of what a model learns to say.
struct Opinion {
  /// One probability for each label, of `text`, which is `examples[item]`'s or a variation of it. Called from
  /// several threads.
  std::function<std::vector<float>(size_t item, std::string_view text)> ask;
  double share = 0;   // of the target; 0: nobody is asked
  std::string print;  // what it was made from, so that a checkpoint belongs to one opinion
};

class Peers;

/// Where a job runs and reports.
struct JobOptions {
  std::string out;  // the GGUF to write; out + ".checkpoint" while the job runs, removed at its end
  double checkpoint_seconds = 10;  // between checkpoints
  unsigned threads = 0;            // 0: all
  ProgressSink progress = {};
  std::stop_token cancel = {};        // kCancelled after a last checkpoint
  std::shared_ptr<Peers> peers = {};  // the other processes of a data-parallel run (pretrain.h), or none
};

struct JobReport {
  double cpu_seconds = 0;  // over all sittings, as far as checkpoints recorded them
  double final_loss = 0;   // mean over the last tenth of the steps
  uint64_t steps = 0;
  uint64_t tokens = 0;  // seen, padding excluded
};

/// A tokenizer and a vocabulary for a task: control tokens, BPE learned on the texts, one whole token per
/// label.
struct TaskText {
  model::Task task;
  std::unique_ptr<text::BpeTokenizer> tokenizer;
};
Result<TaskText> prepare_task(const std::string& name, const std::vector<std::string>& labels,
                              std::span<const formats::Example> examples, size_t vocab_size);

/// The same with the vocabulary of `base`, a language model of byte-level BPE; one token per label is added
/// where it has none.
Result<TaskText> prepare_task_from(const std::string& name, const std::vector<std::string>& labels,
                                   const std::string& base);
/// Writes `base` as a model of the task, not yet trained for it: its vocabulary is `text`'s, and a label's
/// new token begins as the mean of the tokens that spell the label ('_' and '-' as spaces). Errors: those of
/// the files; kInvalidArgument when `text` was not prepared from `base`.
Status adapt_base(const std::string& base, const TaskText& text, const std::string& out);

/// Trains `start` (a GGUF of adapt_base() or of another job with the same vocabulary) or, when that is empty,
/// a new decoder of `shape` (its vocab_size is set from the tokenizer) on labelled examples and writes
/// `job.out`. Errors: kInvalidArgument (empty data, an unlabelled example, a text longer than the context:
/// line, tokens, limit; vocabulary); kCorrupt for a checkpoint of other options; kNoSpace; kInternal for a
/// loss that is not finite (step, learning rate). Part of the target is `opinion`'s, where it has a share.
Result<JobReport> train_classifier(std::span<const formats::Example> examples, const TaskText& text,
                                   model::Config shape, const OptimOptions& options, const JobOptions& job,
                                   const std::string& start = "", const Opinion& opinion = {});

struct DistillOptions {
  OptimOptions optim;
  double temperature = 2.0;  // of both softmaxes (Hinton et al. 2015)
  double hard_weight = 0.1;  // share of the labels' cross-entropy beside the teacher's KL divergence
  uint32_t variants =
      16;  // augmented copies of each example that the teacher answers; epochs count passes over these
  AugmentOptions transfer;  // how the copies differ
};

/// Trains `student` (a GGUF to start from, or when empty a random decoder of `shape`) on the answers of
/// `teacher`, and writes job.out. Both must share the tokenizer (kInvalidArgument with the two sizes
/// otherwise). The teacher's answers are kept in `transfer_file` and reused when they were made by the same
/// teacher from the same examples and options. With an opinion that has a share, the teacher is both: the
/// answers are the mixture of their probabilities.
Result<JobReport> distill(std::span<const formats::Example> examples, const std::string& teacher,
                          const std::string& student, model::Config shape, const DistillOptions& options,
                          const std::string& transfer_file, const JobOptions& job,
                          const Opinion& opinion = {});

/// The shape to prune to; each at most the model's own. Widths must be multiples of the quantisation block
/// (32).
struct PruneOptions {
  uint32_t dim = 0, ffn_dim = 0, heads = 0, layers = 0;  // 0: as it is
};
struct PruneReport {
  model::Config before, after;
  std::vector<uint32_t> layers_kept;
  std::vector<std::vector<uint32_t>> heads_kept;  // per kept layer
  double cpu_seconds = 0;
};

/// Structured pruning by activation importance on `examples`: whole layers by block influence, heads by the
/// norm of their output, FFN channels by mean activation times the norm of their output column, residual
/// channels by mean activation. Loss is recovered by distill() from the result.
Result<PruneReport> prune(std::span<const formats::Example> examples, const std::string& model,
                          const PruneOptions& options, const JobOptions& job);

/// Sets the process's threads and allocator for training; call once at start.
void configure_torch(unsigned threads);

}  // namespace bantam::train
