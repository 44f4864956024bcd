#pragma once
// Examples to padded token batches in a reproducible order. Private to train/.

#include <torch/torch.h>

#include <span>
#include <vector>

#include "base/result.h"
#include "formats/labelled.h"
#include "model/task.h"
#include "model/task_prompt.h"
#include "text/bpe.h"
#include "train/augment.h"

namespace bantam::train {

struct Batch {
  torch::Tensor tokens;       // int64 [B, T], right-padded with 0
  torch::Tensor answer;       // int64 [B]: position whose next token is the label's
  torch::Tensor labels;       // int64 [B]
  std::vector<size_t> items;  // which item each row is
  int64_t token_count = 0;    // without padding
  double share = 1;           // of the step's rows
  bool has_end = false;       // rows go on to the label token, after which the end token is learned
};

/// model::TaskPrompt with BPE-dropout and a limit, and the labels as a tensor.
class PromptEncoder {
 public:
  /// The tokenizer and task must outlive the object. `context` limits the tokens of a prompt, the label
  /// included. Errors: kUnsupported for a label of more than one token; those of TaskPrompt and
  /// encode_choices().
  static Result<PromptEncoder> create(const text::BpeTokenizer& tokenizer, const model::Task& task,
                                      size_t context);
  /// Errors: kLimit (tokens found, allowed).
  Result<std::vector<text::TokenId>> encode(std::string_view text, double bpe_dropout, Rng& rng) const;
  /// Vocabulary row of each label: int64 [labels].
  const torch::Tensor& label_ids() const { return label_ids_; }

 private:
  PromptEncoder(const text::BpeTokenizer& tokenizer, model::TaskPrompt prompt, size_t context,
                torch::Tensor label_ids)
      : tokenizer_(&tokenizer),
        prompt_(std::move(prompt)),
        context_(context),
        label_ids_(std::move(label_ids)) {}

  const text::BpeTokenizer* tokenizer_;
  model::TaskPrompt prompt_;
  size_t context_;
  torch::Tensor label_ids_;
};

/// The order of one epoch's batches over `lengths.size()` items: shuffled, then sorted by length inside runs
/// of 32 batches so that rows of a batch pad little, then the batches shuffled again.
std::vector<std::vector<size_t>> epoch_order(std::span<const uint32_t> lengths, uint32_t batch, uint64_t seed,
                                             uint64_t epoch);

Batch pad(const std::vector<std::vector<text::TokenId>>& rows, std::span<const int32_t> labels,
          std::vector<size_t> items);

}  // namespace bantam::train
