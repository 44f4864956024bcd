#pragma once
// Conversations as training text. No Torch in this header. Private to train/.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace bantam::train {

/// The form of our own chat models, written to tokenizer.chat_template: Phi-3's, which programs that know
/// templates by their markers (llama.cpp without Jinja) recognise.
extern const std::string_view kChatTemplate;

/// The control tokens that kChatTemplate writes.
std::span<const std::string_view> chat_controls();

/// A line {"messages": [{"role": "user", "content": "…"}, …]}, the form that hosted fine-tuning takes, as
/// tokens without BOS: what kChatTemplate writes for the conversation. Control tokens in contents are text.
/// Errors: kCorrupt for JSON of another form, kInvalidArgument for a role beside system, user and assistant
/// or a vocabulary without chat_controls(), naming them.
Result<std::vector<text::TokenId>> encode_conversation(std::string_view line,
                                                       const text::Tokenizer& tokenizer);

/// Which targets of a row of packed documents are to be learned when only answers are: in conversations what
/// the assistant says and the token that ends its turn, in other documents all.
class AnswerMask {
 public:
  /// `start` begins a document in a row. A vocabulary without chat_controls() masks nothing.
  AnswerMask(const text::Tokenizer& tokenizer, text::TokenId start);
  /// Sets targets [T] that are not to be learned to -1; `inputs` [T] are the tokens before them.
  void apply(std::span<const int64_t> inputs, std::span<int64_t> targets) const;

 private:
  int64_t start_, assistant_ = -1, end_ = -1;
  std::vector<int64_t> roles_;  // that open a turn
};

}  // namespace bantam::train
