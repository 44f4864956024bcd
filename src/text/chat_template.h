#pragma once
// A conversation as the prompt its model was trained on: runs the Jinja program that a model carries
// (tokenizer.chat_template, chat_template.jinja).

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace bantam::text {

struct ChatTurn {
  std::string role;  // "system" (or "developer"), "user", "assistant", or what else the template knows
  std::string content;
};

/// What the template wrote, or what a message or tool said: only the former may hold control tokens.
struct PromptPart {
  enum class Kind { kMarkup, kContent, kBos, kEos };
  Kind kind = Kind::kContent;
  std::string text;  // of kBos and kEos what the template saw as bos_token and eos_token
};

struct ChatPrompt {
  std::vector<PromptPart> parts;
  std::vector<std::string> stop;   // texts that end the model's turn, beside its end tokens
  size_t unused_turns = 0;         // messages of whose content nothing stands in the prompt
  std::vector<std::string> notes;  // what was changed so that the template takes the conversation
  std::string text() const;        // all parts
};

struct ChatOptions {
  bool add_generation_prompt = true;              // end where the assistant is to speak
  const nlohmann::ordered_json* tools = nullptr;  // OpenAI's list of tools, or null
  const nlohmann::ordered_json* variables =
      nullptr;                            // an object: what else the template may ask for (enable_thinking)
  std::string bos = "<s>", eos = "</s>";  // the tokens' texts, as the template sees them
  std::optional<std::chrono::system_clock::time_point> now;  // for strftime_now
};

/// With what `tokenizer` begins and ends a text.
ChatOptions chat_options(const Tokenizer& tokenizer);

/// Renders `messages`, OpenAI's list (role, content, tool_calls, name, …). An empty template joins the
/// contents by line ends, as for base models. Arguments of tool calls that are JSON in a text are an object
/// to the template, and print as that text. Where a template refuses a system message, its text goes before
/// the first user's (a note says so). Errors: kCorrupt, kUnsupported (the template, with line), kLimit (its
/// steps, memory or depth), kInvalidArgument (no messages, one without a role, or what the template refuses).
Result<ChatPrompt> render_chat(std::string_view chat_template, const nlohmann::ordered_json& messages,
                               const ChatOptions& options);
Result<ChatPrompt> render_chat(std::string_view chat_template, std::span<const ChatTurn> turns,
                               bool add_generation_prompt);

/// The prompt's ids: control tokens are found in markup only, so no content can end its turn or open another.
/// BOS stands first where the vocabulary or the template asks for it, once. Errors: those of encode().
Result<std::vector<TokenId>> encode_chat(const Tokenizer& tokenizer, const ChatPrompt& prompt);

}  // namespace bantam::text
