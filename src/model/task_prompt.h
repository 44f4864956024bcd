#pragma once
// A task's prompt and choices as tokens: the one definition, used by the engine and by training alike.

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/task.h"
#include "text/tokenizer.h"

namespace bantam::model {

/// The template of a task's prompt, its fixed parts tokenised once. Immutable; borrows the tokenizer.
class TaskPrompt {
 public:
  /// BOS (where the vocabulary asks for it), the text before "{input}" and the text after its first
  /// occurrence; control tokens in these are parsed. Errors: kInvalidArgument for a prompt without "{input}";
  /// those of encode().
  static Result<TaskPrompt> create(const Task& task, const text::Tokenizer& tokenizer);
  /// The tokens for one input, in which nothing is parsed as a control token.
  Result<std::vector<text::TokenId>> encode(std::string_view input) const;

 private:
  const text::Tokenizer* tokenizer_ = nullptr;
  std::vector<text::TokenId> before_, after_;
};

/// The tokens of each choice: its encoding without special tokens, or, where that takes several, the one
/// token of exactly that text if the vocabulary has it (train_bpe's `whole`). Errors: kInvalidArgument for
/// two choices of the same tokens, or one of none.
Result<std::vector<std::vector<text::TokenId>>> encode_choices(const Task& task,
                                                               const text::Tokenizer& tokenizer);

}  // namespace bantam::model
