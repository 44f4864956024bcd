#pragma once
// The loop every training job shares: schedule, AdamW, clipping, averaging, checkpoints, progress. Private to
// train/.

#include <torch/torch.h>

#include <functional>
#include <string>

#include "train/decoder.h"
#include "train/train.h"

namespace bantam::train {

/// How weights go down the gradient.
struct Descent {
  double learning_rate = 1e-3;  // peak, after a linear warm-up
  double warmup = 0.06;         // share of all steps
  double decay = 1;  // share of the steps at whose end the rate falls: 1, the cosine from the warm-up on;
                     // less, flat until then, then linear (WSD, Hu et al. 2024)
  double final_share = 0.02;   // of the peak, at the end
  double weight_decay = 0.05;  // matrices only
  double clip = 1.0;           // global gradient norm
  double beta2 = 0.98;         // of AdamW; Vaswani et al. 2017 use 0.98 for short runs too
  double ema = 0;              // decay of the averaged weights that are saved; 0: the last weights
  bool muon = false;           // the blocks' matrices by Muon (Jordan et al. 2024), the rest by AdamW
  uint32_t micro_steps = 1;    // backward passes whose gradients add up to a step
  uint64_t seed = 1;
};
Descent descent_of(const OptimOptions& options);
std::string describe(const Descent& descent);

/// Which part of a step a pass is: one of `micro_steps`, and of that one's rows those i with i % shards ==
/// shard.
struct Share {
  uint64_t step = 0;
  uint32_t micro_step = 0, shard = 0, shards = 1;
  uint64_t seed = 0;  // of what this pass draws, as its dropout masks
};

/// What one backward pass needs to say to the loop.
struct StepLoss {
  torch::Tensor loss;  // scalar with a gradient; those of a step's passes add up. Undefined: no rows
  int64_t tokens = 0;
};
/// On the CPU the shards of a micro-step run at the same time, each on a thread of its own: matrix products
/// of this size spread badly over threads. So the function is called from several threads.
using StepFunction = std::function<Result<StepLoss>(const Share& share)>;

struct StepReport {
  uint64_t step = 0;  // from 0
  double loss = 0, learning_rate = 0, gradient_norm = 0;
  uint64_t tokens = 0;     // seen so far
  double cpu_seconds = 0;  // over all sittings
};

/// What else happens along the way.
struct Hooks {
  std::function<Status(uint64_t next_step)> restored;  // once, before the first step
  std::function<Status(const StepReport&)> after_step;
};

/// Runs `steps` steps on `model` (weights change in place; with descent.ema the averaged weights are put in
/// at the end). Resumes from job.out + ".checkpoint" if it is there; `fingerprint` says which job it belongs
/// to (kInvalidArgument for another's). The caller removes the checkpoint (remove_checkpoint) after its own
/// output is in place.
/// With job.peers each rank does `micro_steps` passes of its own, the gradients add up over all ranks, and
/// rank 0 alone keeps checkpoints. When a peer is lost every rank stops with kUnavailable after a checkpoint
/// of the last whole step (of rank r: ".checkpoint.r"; the newest counts).
Result<JobReport> run_steps(Decoder& model, const Descent& descent, const JobOptions& job,
                            const std::string& step_name, const std::string& fingerprint, uint64_t steps,
                            const StepFunction& step, const Hooks& hooks = {});

void remove_checkpoint(const JobOptions& job);

/// A stable text of the options for fingerprints.
std::string describe(const OptimOptions& options);
std::string describe(const AugmentOptions& options);
std::string describe(const Opinion& opinion);  // empty without a share
std::string describe(const model::Config& config);
/// SHA-256 over texts and labels.
std::string hash_examples(std::span<const formats::Example> examples);

/// hidden [B, T, C] at each row's position [B] -> [B, C].
torch::Tensor rows_at(const torch::Tensor& hidden, const torch::Tensor& position);
/// Mean cross-entropy of next-token prediction over the tokens before each row's answer position.
torch::Tensor language_loss(const Decoder& model, const torch::Tensor& hidden, const torch::Tensor& tokens,
                            const torch::Tensor& answer);

}  // namespace bantam::train
