#pragma once
// Tool calls of a model that writes text: how the tools are put before it, and how a call is told from an
// answer. Internal to chat.

#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "runtime/engine.h"
#include "text/call_form.h"

namespace bantam::chat {

/// How a model is told of functions, and writes that it calls them.
struct CallStyle {
  text::CallForm form;
  bool native = false;  // as its chat template has it; else in texts, which docs/server.md describes
  std::shared_ptr<const runtime::grammar::Vocabulary> vocabulary = {};  // one that can spell the form
};

/// The form for models whose chat template has none that could be used.
const text::CallForm& stated_form();

/// What a system message says of the tools in that form. Those that may not be called are left out.
std::string tools_text(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel);

/// The conversation in that form: the tools in a system message at its beginning, calls as the text the model
/// wrote, results as messages of the user. No two messages of the user follow each other: many templates
/// refuse that.
std::vector<Message> with_tools_as_text(const Request& request);

/// Whether the request has tools that may be called.
bool may_call(const Request& request);
/// Whether it has those, or tells of calls before.
bool concerns_tools(const Request& request);
/// Whether the choice leaves this tool.
bool may_be_called(const Tool& tool, const ToolChoice& choice);

/// Tells calls from text while a model writes, both under a grammar of runtime::CallRules. For one answer and
/// one thread.
class CallReader {
 public:
  /// Where calls may stand. kInsteadOfText: the answer is text of a response format, or calls.
  enum class Mode { kRequired, kAfterText, kInsteadOfText };
  CallReader(text::CallForm form, std::vector<std::string> names, Mode mode);

  /// What is certain now, in order: text, and parts of calls, the first of which has id and name.
  std::vector<Event> push(std::string_view piece);
  /// The same at the end. A call that was cut stays as far as it came, once its name was known.
  std::vector<Event> finish();
  // All of it so far.
  const std::string& text() const { return text_; }
  const std::vector<ToolCall>& calls() const { return calls_; }

 private:
  enum class At { kText, kUndecided, kOpen, kArguments, kAfter, kOnlyText };
  enum class Match { kNo, kPartly, kYes };
  bool step(std::vector<Event>& out);
  bool read_text(std::vector<Event>& out);
  bool read_name(std::vector<Event>& out);
  bool read_arguments(std::vector<Event>& out);
  Match find_name(std::string_view lead, size_t& function, size_t& length) const;
  void say(size_t bytes, std::vector<Event>& out);

  const text::CallForm form_;
  const std::vector<std::string> names_;
  At at_;
  std::string lead_;  // what must stand before the next call's name
  std::string held_, text_;
  std::vector<ToolCall> calls_;
  int depth_ = 0;  // of brackets in the arguments
  bool quoted_ = false, escaped_ = false;
};

}  // namespace bantam::chat
