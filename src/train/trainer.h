#pragma once
// The loop every training job shares: schedule, AdamW, clipping, averaging, checkpoints, progress. Private to
// train/.

#include <torch/torch.h>

#include <functional>
#include <string>

#include "train/decoder.h"
#include "train/train.h"

namespace bantam::train {

/// What one step needs to say to the loop.
struct StepLoss {
  torch::Tensor loss;  // scalar with a gradient
  int64_t tokens = 0;
};
using StepFunction = std::function<Result<StepLoss>(uint64_t step)>;

/// Runs `steps` steps on `model` (weights change in place; with options.ema the averaged weights are put in
/// at the end). Resumes from job.out + ".checkpoint" if it is there; `fingerprint` says which job it belongs
/// to (kInvalidArgument for another's). The caller removes the checkpoint (remove_checkpoint) after its own
/// output is in place.
Result<JobReport> run_steps(Decoder& model, const OptimOptions& options, const JobOptions& job,
                            const std::string& step_name, const std::string& fingerprint, uint64_t steps,
                            const StepFunction& step);

void remove_checkpoint(const JobOptions& job);

/// A stable text of the options for fingerprints.
std::string describe(const OptimOptions& options);
std::string describe(const AugmentOptions& options);
std::string describe(const model::Config& config);
/// SHA-256 over texts and labels.
std::string hash_examples(std::span<const formats::Example> examples);

/// hidden [B, T, C] at each row's position [B] -> [B, C].
torch::Tensor rows_at(const torch::Tensor& hidden, const torch::Tensor& position);
/// Mean cross-entropy of next-token prediction over the tokens before each row's answer position.
torch::Tensor language_loss(const Decoder& model, const torch::Tensor& hidden, const torch::Tensor& tokens,
                            const torch::Tensor& answer);

}  // namespace bantam::train
