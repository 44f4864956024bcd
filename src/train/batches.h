#pragma once
// Examples to padded token batches in a reproducible order. Private to train/.

#include <torch/torch.h>

#include <span>
#include <vector>

#include "base/result.h"
#include "formats/labelled.h"
#include "model/task.h"
#include "text/bpe.h"
#include "train/augment.h"

namespace bantam::train {

struct Batch {
  torch::Tensor tokens;       // int64 [B, T], right-padded with 0
  torch::Tensor answer;       // int64 [B]: position whose next token is the label's
  torch::Tensor labels;       // int64 [B]
  std::vector<size_t> items;  // which item each row is
  int64_t token_count = 0;    // without padding
  bool has_end = false;       // rows go on to the label token, after which the end token is learned
};

/// Tokenises the task's prompt around texts: before + text + after.
class PromptEncoder {
 public:
  /// The tokenizer and task must outlive the object. `context` limits the tokens of a prompt, the label
  /// included.
  static Result<PromptEncoder> create(const text::BpeTokenizer& tokenizer, const model::Task& task,
                                      size_t context);
  /// Errors: kLimit (tokens found, allowed).
  Result<std::vector<text::TokenId>> encode(std::string_view text, double bpe_dropout, Rng& rng) const;
  /// Vocabulary row of each label: int64 [labels].
  const torch::Tensor& label_ids() const { return label_ids_; }

 private:
  const text::BpeTokenizer* tokenizer_ = nullptr;
  size_t context_ = 0;
  std::vector<text::TokenId> before_, after_;
  std::string lead_, tail_;  // plain text right before and after the input
  torch::Tensor label_ids_;
};

/// The order of one epoch's batches over `lengths.size()` items: shuffled, then sorted by length inside runs
/// of 32 batches so that rows of a batch pad little, then the batches shuffled again.
std::vector<std::vector<size_t>> epoch_order(std::span<const uint32_t> lengths, uint32_t batch, uint64_t seed,
                                             uint64_t epoch);

Batch pad(const std::vector<std::vector<text::TokenId>>& rows, std::span<const int32_t> labels,
          std::vector<size_t> items);

}  // namespace bantam::train
