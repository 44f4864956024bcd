#pragma once
// A conversation as the prompt its model was trained on. GGUF files carry a Jinja program
// (tokenizer.chat_template); this version does not interpret Jinja but knows the plain conversation of
// well-known forms by their markers.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace bantam::text {

struct ChatTurn {
  std::string role;  // "system" (or "developer", the same), "user", "assistant"
  std::string content;
};

/// What the template wrote, or what a turn said: only the former may hold control tokens.
struct PromptPart {
  enum class Kind { kMarkup, kContent, kBos, kEos };
  Kind kind = Kind::kContent;
  std::string text;  // empty for kBos and kEos
};

struct ChatPrompt {
  std::string form;  // "chatml", "llama2", "llama3", "zephyr", "gemma", "phi3", "task", "plain"
  std::vector<PromptPart> parts;
  std::vector<std::string> stop;  // texts that end the model's turn, beside its end tokens
  size_t unused_turns = 0;  // turns that the form has no place for (a task model reads the last one only)
};

/// Renders `turns` in the form of `chat_template`; an empty template joins the contents by line ends, as for
/// base models. With `add_generation_prompt` it ends where the assistant is to speak. The tools and reasoning
/// parts of a template are not rendered. Errors: kUnsupported for another template; kInvalidArgument for no
/// turns or an unknown role.
Result<ChatPrompt> render_chat(std::string_view chat_template, std::span<const ChatTurn> turns,
                               bool add_generation_prompt);

/// The prompt's ids: control tokens are found in markup only, so no content can end its turn or open another.
/// BOS stands first where the vocabulary or the template asks for it, once. Errors: those of encode().
Result<std::vector<TokenId>> encode_chat(const Tokenizer& tokenizer, const ChatPrompt& prompt);

}  // namespace bantam::text
