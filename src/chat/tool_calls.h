#pragma once
// Tool calls of a model that writes text: how the tools are put before it, and how a call is told from an
// answer. Internal to chat.

#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::chat {

/// The default form, for models whose chat template has no place for tools: what a system message tells about
/// them. A call is {"name": …, "arguments": {…}} and nothing else; several stand in a list. See
/// docs/server.md.
std::string tools_text(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel);

/// The conversation in that form: the tools in a system message at its beginning, calls as the text the model
/// wrote, results as messages of the user. Tools that may not be called are left out.
std::vector<Message> with_tools_as_text(const Request& request);

/// The JSON schema of what may be written under a tool choice that needs a call: one call, or a list of at
/// least one where several are allowed. Parameters stand in it as the tools have them. Errors:
/// kInvalidArgument, "tools: …", for parameters that are no JSON object.
Result<std::string> calls_schema(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel);

/// Tells calls from text while a model writes. Text goes through; what may be a call is held back until the
/// end: a text that begins with "{" or "[", or what stands from "<tool_call>" on, as many models were taught
/// to write. For one answer and one thread.
class ToolCallReader {
 public:
  /// `tools` lives as long as the reader.
  explicit ToolCallReader(const std::vector<Tool>& tools) : tools_(tools) {}
  /// The text that may go out now.
  std::string push(std::string_view piece);
  struct End {
    std::string text;  // what was held back and is no call
    std::vector<ToolCall> calls;
  };
  End finish();

 private:
  const std::vector<Tool>& tools_;
  std::string held_;
  bool begun_ = false, holding_ = false;
};

/// The calls in a text that holds nothing else; none when it is anything else, or names no tool of these.
/// Each has a fresh id.
std::vector<ToolCall> read_calls(std::string_view text, const std::vector<Tool>& tools);

}  // namespace bantam::chat
