#pragma once
// Rows, losses and files that training and distillation share. Private to train/.

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "train/batches.h"
#include "train/decoder.h"
#include "train/train.h"
#include "train/trainer.h"

namespace bantam::train {

/// The batches of a run: step n always gives the same rows.
class LabelledRows {
 public:
  /// encoder and examples must outlive it. Errors: kInvalidArgument with the line for an unlabelled or
  /// over-long example.
  static Result<LabelledRows> create(const PromptEncoder& encoder, std::span<const formats::Example> examples,
                                     const OptimOptions& options);
  uint64_t steps() const;
  /// A share of the step's rows, possibly none. `text_of(item, epoch)` is the text to use for an example. May
  /// be called from several threads.
  Result<Batch> at(const Share& share, const std::function<std::string(size_t, uint64_t)>& text_of);

 private:
  LabelledRows(const PromptEncoder& encoder, std::span<const formats::Example> examples,
               const OptimOptions& options, std::vector<uint32_t> lengths);
  const PromptEncoder& encoder_;
  std::span<const formats::Example> examples_;
  OptimOptions options_;
  std::vector<uint32_t> lengths_;
  uint64_t per_epoch_ = 0, epoch_ = 0;
  std::vector<std::vector<size_t>> order_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();  // of the two above
};

/// Cross-entropy of the end token after the label, for batches that go on to it.
torch::Tensor end_loss(const Decoder& model, const torch::Tensor& hidden, const Batch& batch,
                       int64_t end_token);

/// A model with everything needed to go on training it.
struct LoadedModel {
  Decoder decoder;
  std::unique_ptr<text::Tokenizer> tokenizer;
  const text::BpeTokenizer* bpe = nullptr;  // tokenizer, as what it has to be
  model::Task task;
};
/// Errors: those of the file; kUnsupported for a model without a task or with another tokenizer than
/// byte-level BPE.
Result<LoadedModel> load_model(const std::string& path);
/// F32 GGUF, atomically.
Status write_model(const Decoder& model, const text::Tokenizer& tokenizer, const model::Task& task,
                   const std::string& path);

}  // namespace bantam::train
