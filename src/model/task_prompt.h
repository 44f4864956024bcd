#pragma once
// A task's prompt and choices as tokens: the one definition, used by the engine and by training alike.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/task.h"
#include "text/tokenizer.h"

namespace bantam::model {

/// The template of a task's prompt. Immutable; borrows the tokenizer.
class TaskPrompt {
 public:
  /// Errors: kInvalidArgument for a prompt without "{input}"; those of encode().
  static Result<TaskPrompt> create(const Task& task, const text::Tokenizer& tokenizer);
  /// BOS (where the vocabulary asks for it) and the prompt with `input` for its first "{input}", as one text:
  /// merges cross the borders, but control tokens are parsed in the template only.
  Result<std::vector<text::TokenId>> encode(std::string_view input) const;
  /// What encode() encodes after BOS; borrows this object and `input`.
  std::array<text::Segment, 3> segments(std::string_view input) const;
  std::optional<text::TokenId> bos() const { return bos_; }

 private:
  const text::Tokenizer* tokenizer_ = nullptr;
  std::optional<text::TokenId> bos_;
  std::string before_, after_;
};

/// The tokens of each choice: its encoding without special tokens, or, where that takes several, the one
/// token of exactly that text if the vocabulary has it (train_bpe's `whole`). Errors: kInvalidArgument for
/// two choices of the same tokens, or one of none.
Result<std::vector<std::vector<text::TokenId>>> encode_choices(const Task& task,
                                                               const text::Tokenizer& tokenizer);

}  // namespace bantam::model
